import type { Awareness } from 'y-protocols/awareness';
import type * as Y from 'yjs';
import { type Refusal, type SaveState } from './document';
import type { LinkState } from './caller';
import { type LinkOptions } from './links';
import type { Selector } from './selector';
import { LiveSet } from './subscription';
export interface Events {
    link: (state: LinkState, reason: string) => void;
    state: (document: string, state: SaveState) => void;
    synced: (document: string) => void;
    refused: (refusal: Refusal) => void;
    /** This device became a member of a store, here or in another window. */
    paired: () => void;
}
export interface Options extends LinkOptions {
    /** Keep a copy on this device (IndexedDB, where there is one). */
    offline?: boolean;
    /** Databases of different apps on one origin are told apart by this. */
    prefix?: string;
}
export declare class Store {
    private options;
    link: LinkState;
    /** By what it is online. */
    via: 'network' | 'bluetooth' | null;
    readonly refusals: Refusal[];
    private documents;
    private listeners;
    private session;
    private retries;
    private liveSets;
    private nextSubscription;
    private fresh;
    private settling;
    private uncompared;
    private ticker;
    private ended;
    private waiting;
    private readonly links;
    constructor(options: Options);
    /** This device is a member of a store; known once the first link is tried. */
    get paired(): boolean;
    /** This device is not let in, or not any more, until it is paired (`pair`); nothing is tried by itself meanwhile. */
    get needsPairing(): boolean;
    /**
     * Become a member of the gateway's store, by the code that it shows or the text of its QR code. Resolves when that is kept on
     * this device. Rejects with `PairingCodeError` if it is no code, and with `Unreached` when the gateway does not take it.
     */
    pair(code: string): Promise<void>;
    /**
     * Let the user choose the gateway to talk to by Bluetooth. Browsers want that called in a click. Rejects with `Unreached`, and a sentence for
     * people, where there is no Bluetooth or nothing was chosen.
     */
    chooseBluetooth(): Promise<void>;
    /** Whether a gateway that advertises this digest (docs/bluetooth.md) need not be called. */
    upToDate(digest: Uint8Array): boolean;
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
    /** Everything goes by this session from now on. */
    private entered;
    /** It is over, or another one is better. */
    private left;
    private isSettled;
    private linkChanged;
    private random;
    private tick;
    private settle;
    private flush;
    private emit;
    private check;
    private gone;
    /** Rejects as soon as `hopeless` says why it never will be `reached`. */
    private until;
}
/** Join a store through its gateway. Works offline at once; connects by itself. */
export declare function connect(options: Options): Store;
