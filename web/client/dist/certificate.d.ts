export type Certificate = {
    store: Uint8Array;
    peer: Uint8Array;
    signing_key: Uint8Array;
    noise_key: Uint8Array;
    serial: Uint8Array;
    epoch: number;
};
/** The other side is not the gateway it should be; `code` is one of docs/protocol.md section 5. */
export declare class Untrusted extends Error {
    readonly code: number;
    constructor(code: number, reason: string);
}
/** The 16 bytes that name a store. */
export declare function storeId(root: Uint8Array): Uint8Array;
/** The 4 bytes by which a gateway of the store is recognised on the LAN. */
export declare function storeHint(store: Uint8Array): Uint8Array;
/**
 * The certificate in `data`, if the root signed it and it names `noiseKey`, the static key that the
 * gateway proved in this session. Whether it was revoked is not asked. Throws `Malformed` or `Untrusted`.
 */
export declare function verifyCertificate(data: Uint8Array, root: Uint8Array, noiseKey: Uint8Array): Certificate;
