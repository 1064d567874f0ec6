import * as Y from 'yjs';
import type { Calling, Membership } from './entrance';
import { type Pairs } from './wire';
/** What the session needs of a document and tells about it. */
export interface Document {
    readonly name: string;
    readonly doc: Y.Doc;
    readonly fingerprint: Uint8Array;
    /** Apply what came from the link. */
    receive(update: Uint8Array): void;
    receiveAwareness(payload: Uint8Array): void;
    awarenessToSend(): Uint8Array | null;
    /** Both sides have exchanged what the other lacked. */
    synced(): void;
    /** All that was handed over until the call of `handedOver` is on the gateway's disk. */
    saved(): void;
    handedOver(): void;
    refused(code: number, reason: string): void;
}
export interface SessionEvents {
    opened(): void;
    /** The peer opened a document that is not open here; `open` it to have it. */
    offered(name: string): void;
    /** The peer sends no more of a document, which left what was subscribed to; it is closed. */
    closed(name: string): void;
    /** What a subscription selects was compared. The peer opens what differs; all else is equal. */
    compared(subscription: number, differing: Set<string>): void;
    /** This device was let into a store. */
    gained(membership: Membership): void;
    /** Somebody was shut out of the store, of whom nothing was known here. */
    revoked(): void;
    /** The peer's store was in this state when this device had all of it that it wants. */
    stated(digest: Uint8Array, peer: Uint8Array): void;
    /** `told`: the other side said so, on a sealed link if it was to be one. */
    ended(code: number, reason: string, retryMs: number, told: boolean): void;
}
export interface Introduction {
    peer: Uint8Array;
    about: Pairs;
    token?: string;
}
export declare class Session {
    private introduction;
    private events;
    private calling;
    private slow;
    private state;
    private out;
    private bare;
    private peer;
    private digestHeard;
    private channels;
    private theirHandles;
    private offers;
    private subscriptions;
    private exchanges;
    private leaving;
    private nextHandle;
    private sent;
    private acked;
    private numbers;
    private limit;
    private nonce;
    private deflates;
    /** With a `calling` the link is sealed, and both sides show that they are of one store. On a `slow` one batches are small. */
    constructor(introduction: Introduction, events: SessionEvents, calling?: Calling | null, slow?: boolean);
    /** Take one link message; never throws on what the peer does wrong. */
    receive(data: Uint8Array): void;
    /** Link messages to send now. */
    dataToSend(): Uint8Array[];
    /** Both sides compare: the peer opens of a subscription what differs and what changes. */
    get reconciles(): boolean;
    isOpen(name: string): boolean;
    /** Follow a document on this link, once it is `opened`. */
    open(document: Document): void;
    /** Begin a subscription, or change the one of that number. */
    subscribe(subscription: number, collection: string, selector: string): void;
    /** Compare what a subscription selects here, all of which is handed in, with what it selects there. */
    compare(subscription: number, documents: Iterable<Document>): void;
    unsubscribe(subscription: number): void;
    release(name: string): void;
    /** Begin anew with a document: each side tells again what it has. */
    reopen(name: string): void;
    /** A local change of a document that is open. */
    update(name: string, update: Uint8Array): void;
    awareness(name: string, payload: Uint8Array): void;
    ping(): void;
    close(code: number, reason: string): void;
    private greet;
    private shakeHands;
    private deflated;
    private inflated;
    /** The batch of a link message; null when nothing can be said any more. */
    private unsealed;
    private end;
    private put;
    private take;
    private admitted;
    private granted;
    /** Kept, and passed on with the next DIGEST that differs. */
    private revoked;
    private compareRevocations;
    private greeted;
    private ask;
    private showPresence;
    private opened;
    private closed;
    private finish;
    private compared;
    private diff;
    private changed;
    private apply;
    private judge;
    /** Whether a part can be sent; a single value above the limit cannot be cut. */
    private fits;
    private count;
    private ack;
    private refuse;
    private denied;
    private channel;
}
