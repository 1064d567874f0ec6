import { type Certificate } from './certificate';
export declare const MAX_ENTRIES = 1024;
/** All that was revoked in one store, as far as it is known here. */
export declare class Revocations {
    private readonly root;
    private readonly kept;
    private readonly known;
    constructor(root: Uint8Array);
    /** Whether the entry was new, and is to be kept and passed on. Throws `Malformed` or `Untrusted` if it is not of this store. */
    add(entry: Uint8Array): boolean;
    /** Whether a gateway's certificate, or the gateway, was shut out. */
    includes(certificate: Certificate): boolean;
    /** All that are kept, in an order that depends only on what they are. */
    entries(): Uint8Array[];
    /** The same 16 bytes for the same entries, and for no others. */
    digest(): Uint8Array;
    private countOf;
}
