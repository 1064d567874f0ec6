import { type Certificate } from './certificate';
import { Channel } from './channel';
import { KeyPair } from './noise';
import type { PairingSecret } from './pairing-uri';
import { Revocations } from './revocations';
import { type Message } from './wire';
/** This device's own keys, made of two times 32 random bytes that nobody else has. */
export declare class Keys {
    private readonly signing;
    readonly noise: KeyPair;
    constructor(noise: Uint8Array, signing: Uint8Array);
    get signingPublic(): Uint8Array;
}
/** What this device is in its store: the store's root key, and the ticket it shows. */
export interface Membership {
    root: Uint8Array;
    credential: Uint8Array;
    revocations: Revocations;
}
export interface Caller {
    peer: Uint8Array;
    keys: Keys;
    membership: Membership | null;
    /** The static key of the gateway at this address, if it was met before. */
    gateway?: Uint8Array;
    /** To become a member by, and under which name. */
    pairing?: PairingSecret;
    name: string;
}
/** Used once. What the other side does wrong throws `NoiseError`, `Untrusted` or `Malformed`. */
export declare class Calling {
    private readonly caller;
    readonly channel: Channel;
    membership: Membership | null;
    /** Who answered, once it proved that it is a gateway of our store. */
    met: Certificate | null;
    constructor(caller: Caller, ephemeral: KeyPair);
    /** What we show to be let in. */
    auth(): Message;
    /** What we are from now on. */
    take({ credential, root }: {
        credential: Uint8Array;
        root: Uint8Array;
    }): Membership;
    /** Who answered: only a gateway of our store that was not shut out will do. */
    meet({ method, credential }: {
        method: number;
        credential: Uint8Array;
    }, peer: Uint8Array): void;
    /** Throws `Untrusted` if who answered is shut out by now. */
    check(): void;
    private request;
}
