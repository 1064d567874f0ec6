export declare const MIN_SEGMENT_BYTES = 20;
export declare const MAX_SEGMENT_BYTES = 512;
/** The longest batch, sealed. */
export declare const SEALED_BYTES = 262224;
export declare const PATIENCE_MS = 15000;
/** The link cannot go on; `code` is what the other side is told. */
export declare class SegmentError extends Error {
    readonly code: 4400 | 1009 | 4408;
    constructor(code: 4400 | 1009 | 4408, reason: string);
}
/** Both directions of one link. What the peer does wrong throws `SegmentError`; after that it is unusable. */
export declare class Segments {
    private readonly segmentBytes;
    private readonly limitBytes;
    /** Give no credits, as what was taken is too much already. */
    holding: boolean;
    /** Whether MOVED was written, and received. */
    movedOut: boolean;
    movedIn: boolean;
    private moving;
    private movedAt;
    private sending;
    private offset;
    private waiting;
    private sent;
    private received;
    private ours;
    private theirs;
    private owed;
    private message;
    private filled;
    private stalledSince;
    private heard;
    /** `segmentBytes`: what one write carries. `limitBytes`: the largest message that is taken. */
    constructor(segmentBytes: number, limitBytes?: number);
    /** So much waits that the session should hold back: what comes next may be more urgent. */
    get congested(): boolean;
    /** Send a message of 1 to 262,224 bytes after those before it; not once it moved. */
    send(message: Uint8Array): void;
    /** Write MOVED and nothing after it. The messages that did not go whole: they go by the other way, before all others. */
    move(): Uint8Array[];
    /** The next write, if there is one and the peer has room for it; `now` in milliseconds. */
    next(now: number): Uint8Array | null;
    /** Take what the peer wrote; a message that is whole now. */
    receive(segment: Uint8Array, now: number): Uint8Array | null;
    /** Throws when a message goes no further, in either direction. */
    check(now: number): void;
    private nextSequence;
    private moveOut;
    private data;
    private take;
    private moveIn;
    private credited;
    private begin;
    private add;
}
