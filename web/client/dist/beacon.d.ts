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
/** What an advertised name says; null if it is not that of a gateway. */
export declare function readBeacon(name: string): Beacon | null;
/** Whether a token is of the store of this root. */
export declare function isOfStore(root: Uint8Array, token: Uint8Array): boolean;
