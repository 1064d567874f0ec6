import type * as Y from 'yjs';
import type { StoreDocument } from './document';
import { type Selector } from './selector';
export type Change = {
    added: string[];
    removed: string[];
    changed: string[];
};
/** The documents that match at the moment. Works offline with what is on this device. */
export declare class LiveSet {
    readonly collection: string;
    selector: Selector;
    private owner;
    /** By name; the same `Y.Doc` that `store.doc(name)` gives. */
    readonly documents: Map<string, Y.Doc>;
    /** What is on this device has been looked through. */
    readonly whenLoaded: Promise<void>;
    /** @internal */
    loaded: boolean;
    /** @internal */
    comparedAt: number;
    private matches;
    private listeners;
    private pending;
    /** @internal */
    constructor(collection: string, selector: Selector, owner: {
        known(): Iterable<StoreDocument>;
        changed(set: LiveSet): void;
        ended(set: LiveSet): void;
        load(set: LiveSet): Promise<void>;
    });
    /** Called after something changed, at most once a turn; gives a function that ends it. */
    on(listener: (change: Change) => void): () => void;
    /** Ask for something else; no new link is made. */
    select(selector: Selector): void;
    /** No more interest; what is on this device stays until the space is needed. */
    close(): void;
    /** @internal */
    consider(document: StoreDocument, changed: boolean): void;
    /** @internal */
    forget(name: string): void;
    private considerAll;
    private note;
}
