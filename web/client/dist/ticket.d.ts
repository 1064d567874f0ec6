import { type Certificate } from './certificate';
/** Whom the ticket names and who issued it. Throws `Malformed` or `Untrusted`. */
export declare function verifyTicket(credential: Uint8Array, root: Uint8Array, noiseKey: Uint8Array): {
    peer: Uint8Array;
    issuer: Certificate;
};
