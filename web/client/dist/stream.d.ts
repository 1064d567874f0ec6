/** A message as it is sent. */
export declare function framed(message: Uint8Array): Uint8Array;
/** What arrives, cut into messages. What the peer does wrong throws `SegmentError`; after that it is unusable. */
export declare class MessageStream {
    private parts;
    private held;
    private length;
    private heard;
    push(data: Uint8Array, now: number): void;
    /** The next message that is whole. */
    next(): Uint8Array | null;
    /** Throws when a message goes no further. */
    check(now: number): void;
    private readLength;
    private keep;
}
