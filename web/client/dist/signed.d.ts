import { type Value } from './cbor';
/** The other side is not who it should be; `code` is one of docs/protocol.md section 5. */
export declare class Untrusted extends Error {
    readonly code: number;
    constructor(code: number, reason: string);
}
export declare const UNAUTHORISED = 4401;
export declare const REVOKED = 4410;
export declare const OTHER_STORE = 4421;
export declare const ID_BYTES = 16;
export declare const SERIAL_BYTES = 8;
export declare const KEY_BYTES = 32;
export declare const MAX_EPOCH: number;
/** Claims and who may have signed them; nothing is known until `by` says so. */
export declare class Signed {
    private readonly payload;
    private readonly signature;
    private readonly context;
    readonly claims: Claims;
    constructor(payload: Uint8Array, signature: Uint8Array, context: string, keys: number);
    /** Whether this key signed the claims in the context they were read for. */
    by(key: Uint8Array): boolean;
}
/** The claims 0 to `keys` in a COSE_Sign1, not verified. Throws `Malformed`, and `Untrusted` for another version. */
export declare function readSigned(data: Uint8Array, context: string, keys: number): Signed;
/** Something signed, and the certificate of who signed it (empty: the store's root). Throws `Malformed`. */
export declare function readPair(data: Uint8Array): [signed: Uint8Array, certificate: Uint8Array];
/** A map that holds exactly the claims it should; all methods throw `Malformed`. */
export declare class Claims {
    private readonly values;
    constructor(value: Value, keys: number);
    octets(key: number, ...lengths: number[]): Uint8Array;
    number(key: number, most: number): number;
}
