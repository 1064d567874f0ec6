import type { Awareness } from 'y-protocols/awareness';
import type * as Y from 'yjs';
import { type Refusal, type SaveState } from './document';
import type { Selector } from './selector';
import { LiveSet } from './subscription';
export type LinkState = 'connecting' | 'online' | 'offline' | 'refused';
export interface Events {
    link: (state: LinkState, reason: string) => void;
    state: (document: string, state: SaveState) => void;
    synced: (document: string) => void;
    refused: (refusal: Refusal) => void;
    /** This device became a member of a store, here or in another window. */
    paired: () => void;
}
export interface Options {
    /** ws://host:port, with or without /mesh; http(s) addresses are understood too. */
    url: string;
    token?: string;
    /** What peers and the status page show of this device. */
    name?: string;
    app?: string;
    appVersion?: string;
    schema?: string;
    /** Keep a copy on this device (IndexedDB, where there is one). */
    offline?: boolean;
    /** Databases of different apps on one origin are told apart by this. */
    prefix?: string;
    WebSocket?: typeof WebSocket;
    random?: () => number;
}
/** What was waited for will not come; the message says why. */
export declare class Unreached extends Error {
    readonly name = "Unreached";
}
export declare class Store {
    private options;
    link: LinkState;
    /** This device is not let in, or not any more, until it is paired (`pair`); nothing is tried by itself meanwhile. */
    needsPairing: boolean;
    readonly refusals: Refusal[];
    private documents;
    private listeners;
    private socket;
    private session;
    private flushing;
    private attempts;
    private retry;
    private retries;
    private liveSets;
    private nextSubscription;
    private fresh;
    private settling;
    private ticker;
    private heardAt;
    private saidAt;
    private openedAt;
    private deadline;
    private ended;
    private waiting;
    private readonly url;
    private readonly identified;
    private identity;
    private pairing;
    private attempt;
    private calling;
    constructor(options: Options);
    /** This device is a member of a store; known once the first link is tried. */
    get paired(): boolean;
    /**
     * Become a member of the gateway's store, by the code that it shows or the text of its QR code. Resolves when that is kept on
     * this device. Rejects with `PairingCodeError` if it is no code, and with `Unreached` when the gateway does not take it.
     */
    pair(code: string): Promise<void>;
    /** The Yjs document of that name; the same one every time. */
    doc(name: string): Y.Doc;
    /**
     * The documents of a collection that match, now and later, on this device and from the gateway.
     * Throws `SelectorError` when the selector cannot be used (docs/selectors.md).
     */
    subscribe(collection: string, selector?: Selector): LiveSet;
    /** Who else is in the document (y-protocols awareness). */
    awareness(name: string): Awareness;
    state(name: string): SaveState;
    /** The copy on this device has been read. */
    whenLoaded(name: string): Promise<void>;
    /** Both sides have what the other had. Rejects with `Unreached` when it is released or the store ends. */
    whenSynced(name: string): Promise<void>;
    /**
     * Everything (of one document) is on a gateway's disk. Rejects with `Unreached` when a change is refused for good, when
     * the document is released, and when the store ends.
     */
    whenSaved(name?: string): Promise<void>;
    /** No more interest for now; the copy on this device stays. */
    release(name: string): Promise<void>;
    on<Name extends keyof Events>(name: Name, listener: Events[Name]): () => void;
    destroy(): Promise<void>;
    private of;
    private get keepsCopies();
    private get prefix();
    /** Open what is on this device; copies that match no more and are saved elsewhere go. */
    private loadSelected;
    private touched;
    private get;
    private follow;
    /** Open a document on the link, unless comparing finds out whether that is needed. */
    private join;
    private setsOf;
    /** Find out, together with the gateway, what differs of a subscription. */
    private compare;
    private held;
    /** All else is the same on the gateway. */
    private compared;
    private refused;
    private identify;
    /** With a membership never in the open, whatever answers. */
    private entrance;
    /** Another window was paired: come back as what this device is now. */
    private gained;
    /** Call anew, at once. */
    private redial;
    private random;
    private connect;
    /** `told`: the other side gave the code, where that counts. */
    private lost;
    private wait;
    /** The network came back or the page was looked at: do not wait for the back-off. */
    private hurry;
    private tick;
    private settle;
    /** Everything said in one turn goes out together. */
    private flush;
    private drain;
    private become;
    private emit;
    private check;
    private gone;
    /** Rejects as soon as `hopeless` says why it never will be `reached`. */
    private until;
}
/** Join a store through its gateway. Works offline at once; connects by itself. */
export declare function connect(options: Options): Store;
