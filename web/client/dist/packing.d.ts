/** What was packed cannot be read; `code` is what the other side is told. */
export declare class PackedError extends Error {
    readonly code: 4400 | 1009;
    constructor(code: 4400 | 1009, reason: string);
}
/** The deflated form; it may be longer than `plain`. */
export declare function pack(plain: Uint8Array): Uint8Array;
/** What was packed, of which there are at most `limit` bytes. Throws `PackedError`. What follows its end is skipped. */
export declare function unpack(packed: Uint8Array, limit: number): Uint8Array;
