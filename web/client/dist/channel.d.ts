import { Pattern, type Secrets } from './noise';
import type { Message } from './wire';
type Noise = Extract<Message, {
    type: 'NOISE';
}>;
/** Used once. What the peer does wrong throws `NoiseError`; after that it is unusable. */
export declare class Channel {
    private readonly pattern;
    private readonly handshake;
    private transport;
    constructor(pattern: Pattern, secrets: Secrets);
    /** The handshake is complete: everything is sealed from now on. */
    get sealed(): boolean;
    /** The static key that the peer proved; only once sealed. */
    get remoteStatic(): Uint8Array;
    /** The first handshake message. */
    call(): Noise;
    /** Take all records of the peer's next link message before `sealed`; what to answer, if anything. */
    step(records: Message[]): Noise | null;
    /** The link message of a batch; only once sealed. */
    seal(batch: Uint8Array): Uint8Array;
    /** The batch of a link message; only once sealed. Throws `NoiseError`. */
    open(message: Uint8Array): Uint8Array;
    private write;
}
export {};
