import type { BluetoothAdapter } from './adapter';
import { Caller, type LinkState, type Office, type Pairing } from './caller';
import { Calling, type Membership } from './entrance';
import { Identity } from './identity';
import type { Transport } from './link';
import type { Introduction, Session, SessionEvents } from './session';
export interface LinkOptions {
    /** ws://host:port, with or without /mesh; http(s) addresses are understood too. */
    url?: string;
    /** The gateway by Bluetooth LE: true for that of the browser, or an adapter for that of the platform. */
    bluetooth?: boolean | BluetoothAdapter;
    /** While the network carries everything the Bluetooth link is kept, to take over at once, or dropped, to save the battery. */
    bluetoothIdle?: 'keep' | 'drop';
    token?: string;
    /** What peers and the status page show of this device. */
    name?: string;
    app?: string;
    appVersion?: string;
    schema?: string;
    WebSocket?: typeof WebSocket;
    random?: () => number;
}
export interface LinksEvents extends Pick<SessionEvents, 'offered' | 'closed' | 'compared'> {
    /** Everything goes by this session from now on. */
    entered(session: Session): void;
    left(session: Session): void;
    /** State, reason or way are other ones. */
    changed(): void;
    paired(): void;
    /** Something of this device is not on a gateway. */
    owes(): boolean;
    /** All that is wanted was asked for by this session, and came. */
    isSettled(): boolean;
}
export declare class Links implements Office {
    private readonly options;
    private readonly owner;
    state: LinkState;
    reason: string;
    identity: Identity;
    introduction: Introduction;
    private readonly callers;
    private readonly bluetooth;
    private readonly identified;
    private active;
    private invitation;
    private ended;
    private hasChosen;
    private readonly told;
    constructor(options: LinkOptions, owner: LinksEvents);
    /** This device is a member of a store. */
    get paired(): boolean;
    get needsPairing(): boolean;
    /** By what everything goes now. */
    get via(): Transport['kind'] | null;
    pair(code: string): Promise<void>;
    /** Let the user choose a gateway; called from a tap or click, as browsers demand. */
    chooseBluetooth(): Promise<void>;
    /** Whether a gateway that advertises this digest has nothing that this device lacks, nor this device anything to say. */
    upToDate(digest: Uint8Array): boolean;
    /** More is wanted than what the gateways said all of. */
    wantsMore(): void;
    flush(): void;
    tick(now: number): void;
    end(): void;
    random(): number;
    pairing(caller: Caller): Pairing | null;
    entrance(gateway: string, pairing: Pairing | null): Calling | null;
    hasSpare(caller: Caller): boolean;
    became(): void;
    gained(caller: Caller, pairing: Pairing, membership: Membership): void;
    notPaired(pairing: Pairing, answered: boolean, reason: string): void;
    events(caller: Caller): Pick<SessionEvents, 'offered' | 'closed' | 'compared' | 'stated'>;
    /** The gateway knows only of what was asked for by then. */
    private stated;
    private identify;
    private comeBack;
    private callNext;
    /** Move everything to the best link that is open. */
    private choose;
    /** Bluetooth that is not wanted while the network works, or was not tried. */
    private isSpared;
    /** Nobody told the browser yet which gateway it may talk to, and there is none from before. */
    private isUnchosen;
    /** The caller that people want to hear of. */
    private get foremost();
    private isWanted;
    private hurry;
    private probe;
}
