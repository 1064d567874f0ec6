export interface LinkEvents {
    /** Messages can be sent. `gateway`: by which its key is known, if it was met before. */
    opened(gateway: string): void;
    message(data: Uint8Array): void;
    /** There is room again, after there was none. */
    room(): void;
    /** Once, also when it never opened, and not any more after `abandon`. `told`: the other side gave the code. */
    closed(code: number, reason: string, retryMs: number, told: boolean): void;
}
/** One link, used once. It delivers all messages in order, or closes. */
export interface Link {
    /** What is sent now goes out soon. */
    readonly hasRoom: boolean;
    /** When anything was heard, in milliseconds of the clock. */
    readonly heardAt: number;
    send(message: Uint8Array): void;
    /** End it after what was sent; `closed` follows. */
    close(): void;
    /** End it without another word. */
    abandon(): void;
}
/** A way to a gateway. */
export interface Transport {
    readonly kind: 'network' | 'bluetooth';
    /** How long opening and the first answer may take; what looks for somebody who may be far away takes its time. */
    readonly openingMs: number;
    open(events: LinkEvents): Link;
}
