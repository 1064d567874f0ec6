import type { Calling } from './entrance';
import { type Identity } from './identity';
import type { Transport } from './link';
import type { PairingSecret } from './pairing-uri';
import { Session, type Introduction, type SessionEvents } from './session';
export type LinkState = 'connecting' | 'online' | 'offline' | 'refused';
/** A call that shall make this device a member of a store. */
export interface Pairing {
    secret: PairingSecret;
    done(): void;
    failed(error: Error): void;
}
/** Whom a caller calls for. */
export interface Office {
    readonly identity: Identity;
    readonly introduction: Introduction;
    random(): number;
    /** What this caller's next call is for, if it shall pair this device. */
    pairing(caller: Caller): Pairing | null;
    /** With a membership never in the open, whatever answers. */
    entrance(gateway: string, pairing: Pairing | null): Calling | null;
    /** If this way fails another one takes over. */
    hasSpare(caller: Caller): boolean;
    /** State or session are other ones. */
    became(caller: Caller): void;
    gained(caller: Caller, pairing: Pairing, membership: NonNullable<Calling['membership']>): void;
    /** The call did not pair this device; `answered`: though somebody was reached. */
    notPaired(pairing: Pairing, answered: boolean, reason: string): void;
    events(caller: Caller): Pick<SessionEvents, 'offered' | 'closed' | 'compared' | 'stated'>;
}
/** Calls until it is stopped. */
export declare class Caller {
    readonly transport: Transport;
    private readonly office;
    state: LinkState;
    reason: string;
    isStopped: boolean;
    needsPairing: boolean;
    session: Session | null;
    /** It worked once. */
    proven: boolean;
    /** It did not work the last time. */
    hasFailed: boolean;
    private link;
    private attempts;
    private retry;
    private deadline;
    private openedAt;
    private calledAt;
    private saidAt;
    private pingedAt;
    private answered;
    private flushing;
    private farewell;
    private isQuiet;
    private gateway;
    private pairing;
    private calling;
    constructor(transport: Transport, office: Office);
    start(): void;
    /** Hang up, and do not call any more. Who never called is offline from then on, too. */
    stop(reason: string): void;
    /** Call anew, at once. */
    redial(reason: string): void;
    /** The network came back, or somebody looks: do not wait for the back-off. */
    hurry(): void;
    /** There is something to say. */
    wake(): void;
    /** Find out whether the other side is still there. Bluetooth itself says when it is not. */
    probe(): void;
    /** Once a second. */
    tick(now: number): void;
    /** Everything said in one turn goes out together. */
    flush(): void;
    private call;
    private heard;
    private begin;
    private opened;
    private drain;
    private hangUp;
    private unlink;
    private lost;
    private wait;
    private become;
}
