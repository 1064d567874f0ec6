import { Awareness } from 'y-protocols/awareness';
import * as Y from 'yjs';
import type { Document } from './session';
/**
 * writing: a change is on its way to this device's own disk; local: it is there, and only there;
 * sent: handed to a gateway; saved: on the gateway's disk.
 */
export type SaveState = 'writing' | 'local' | 'sent' | 'saved';
export interface Refusal {
    document: string;
    code: number;
    reason: string;
}
export interface Owner {
    update(document: StoreDocument, update: Uint8Array): void;
    awareness(name: string, payload: Uint8Array): void;
    changed(document: StoreDocument): void;
    isSynced(document: StoreDocument): void;
    /** It changed; `arrived`: by what came from the link. */
    touched(document: StoreDocument, arrived: boolean): void;
    refused(refusal: Refusal): void;
}
export declare class StoreDocument implements Document {
    readonly name: string;
    private owner;
    private database;
    readonly doc: Y.Doc;
    readonly awareness: Awareness;
    readonly loaded: Promise<void>;
    state: SaveState;
    refusal: Refusal | null;
    synchronised: boolean;
    /** It is here only because of a subscription; its copy may go once it is saved elsewhere. */
    selected: boolean;
    /** The app wants to know who is in it, or when it is in sync. */
    followed: boolean;
    private local;
    private unkept;
    private confirming;
    private again;
    private channel;
    private print;
    private marked;
    constructor(name: string, owner: Owner, database: string | null, selected: boolean);
    get fingerprint(): Uint8Array;
    get empty(): boolean;
    /** Nothing but a subscription wants it, and nothing of it is owed to a gateway. */
    get idle(): boolean;
    receive(update: Uint8Array): void;
    receiveAwareness(payload: Uint8Array): void;
    awarenessToSend(): Uint8Array | null;
    synced(): void;
    handedOver(): void;
    saved(): void;
    /** What is in it was on the gateway's disk some time ago: note that, to know it at the next start. */
    settled(): void;
    refused(code: number, reason: string): void;
    /** The link is gone: what was sent and not acked counts as local again. */
    unlinked(): void;
    /** The app asked for it by name: its copy stays. */
    keep(): void;
    /** End it, and give the space on this device back. */
    evict(): Promise<void>;
    close(): Promise<void>;
    private load;
    /** Windows of one device agree without any link. */
    private listenToOtherWindows;
    private onUpdate;
    /** Something here is not on a gateway: 'local' as soon as it will survive a reload. */
    private changed;
    private confirm;
    private onAwareness;
    private become;
}
