export type Certificate = {
    store: Uint8Array;
    peer: Uint8Array;
    signing_key: Uint8Array;
    noise_key: Uint8Array;
    serial: Uint8Array;
    epoch: number;
};
/** The 16 bytes that name a store. */
export declare function storeId(root: Uint8Array): Uint8Array;
/** The 4 bytes by which a gateway of the store is recognised on the LAN. */
export declare function storeHint(store: Uint8Array): Uint8Array;
/** The certificate in `data`, if the root signed it. Whether it was revoked is not asked. Throws `Malformed` or `Untrusted`. */
export declare function readCertificate(data: Uint8Array, root: Uint8Array): Certificate;
/** The same, if it names `noiseKey`, the static key that the gateway proved in this session. */
export declare function verifyCertificate(data: Uint8Array, root: Uint8Array, noiseKey: Uint8Array): Certificate;
/** Throws `Untrusted` unless both are the same store. */
export declare function checkStore(named: Uint8Array, ours: Uint8Array): void;
