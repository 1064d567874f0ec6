export declare const SERVICE: string;
export declare const INFO: string;
export declare const RX: string;
/** Of place 1 and so on: each phone has its own. */
export declare const TX: string[];
export declare const NONCE_BYTES = 4;
/** The gateway cannot be talked to, or does not want to. */
export declare class OpeningError extends Error {
    readonly code: number;
    constructor(code: number, reason: string);
}
/** `psm`: 0 where L2CAP is not taken. `place`: of this phone, 0 if there is none. */
export interface Info {
    peer: Uint8Array;
    psm: number;
    place: number;
}
/** A link is open, `number` are the bytes of a write; or `refused`, for the code `number`. */
export interface Answer {
    nonce: Uint8Array;
    number: number;
    refused: boolean;
}
export declare function readInfo(value: Uint8Array): Info;
/** `takes`: the bytes of a notification, 0 if that is not known. */
export declare function opener(nonce: Uint8Array, takes: number): Uint8Array;
/** What was notified, if it is an answer. */
export declare function readAnswer(value: Uint8Array): Answer | null;
