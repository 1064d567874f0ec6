/** Bits of `state`: a pairing window is open, all places are taken. */
export declare const State: {
    PAIRING: number;
    FULL: number;
};
export interface Beacon {
    token: Uint8Array;
    digest: Uint8Array;
    state: number;
}
/** The service data of an advertisement; null if this is none. */
export declare function readBeacon(serviceData: Uint8Array): Beacon | null;
/** Whether a token is of the store of this root. */
export declare function isOfStore(root: Uint8Array, token: Uint8Array): boolean;
