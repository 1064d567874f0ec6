import { type Catalogue } from './reconcile';
/** `differing` is all that was found once the exchange is `finished`. */
export interface Turn {
    reply: Uint8Array | null;
    differing: Set<string>;
    finished: boolean;
}
export declare class Exchanges {
    private payloadBytes;
    private running;
    /** `payloadBytes`: what the peer takes in one record. */
    constructor(payloadBytes: number);
    /** Begin one about a subscription, in place of one that may be under way; gives what to send. */
    begin(subscription: number, catalogue: Catalogue): Uint8Array;
    /** Answer the peer's turn; null if it belongs to none that is under way. Throws Malformed. */
    take(subscription: number, payload: Uint8Array): Turn | null;
    forget(subscription: number): void;
}
