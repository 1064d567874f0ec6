export declare const MAX_NOISE_BYTES = 65535;
/** What the peer sent cannot be accepted; the link is closed with the code. */
export declare class NoiseError extends Error {
    readonly code: number;
    constructor(code: number, reason: string);
}
/** The numbers are those of the NOISE record: a paired peer, a scanned code, a typed code, members of one store. */
export declare enum Pattern {
    IK = 0,
    IKpsk2 = 1,
    XXpsk0 = 2,
    XX = 3
}
/** What both sides of a link put before a handshake of this pattern. */
export declare const prologueOf: (pattern: Pattern) => Uint8Array<ArrayBufferLike>;
export declare class KeyPair {
    private readonly secret;
    readonly public: Uint8Array;
    /** `secret` are 32 random bytes. */
    constructor(secret: Uint8Array);
    exchange(other: Uint8Array): Uint8Array;
}
/** One key and the number of messages it has encrypted or decrypted. */
declare class CipherState {
    private readonly key;
    next: bigint;
    constructor(key: Uint8Array);
    encrypt(data: Uint8Array, plaintext: Uint8Array): Uint8Array;
    decrypt(data: Uint8Array, ciphertext: Uint8Array): Uint8Array;
    private nonce;
}
export interface Secrets {
    static: KeyPair;
    /** Drawn for this handshake and never used again. */
    ephemeral: KeyPair;
    /** The responder's public key, which an initiator of IK and IKpsk2 needs. */
    remoteStatic?: Uint8Array;
    /** 32 bytes, where the pattern has them. */
    psk?: Uint8Array;
}
/**
 * One side of a handshake, used once: `write` and `read` in turn, then `split`. After any error it is unusable. In IK the
 * first payload may be a replay, and in IKpsk2 nothing the responder reads proves that the peer knows the secret: until the
 * first message of the transport was opened nothing may be granted.
 */
export declare class Handshake {
    private readonly initiator;
    private readonly secrets;
    private readonly shape;
    private readonly symmetric;
    private readonly ours;
    private readonly theirs;
    private past;
    private state;
    constructor(pattern: Pattern, initiator: boolean, secrets: Secrets, prologue: Uint8Array);
    /** All messages were written and read; `split` is next. */
    get done(): boolean;
    /** `write` is next. */
    get isWriting(): boolean;
    /** The peer's static key as soon as it is known; proven once done. */
    get remoteStatic(): Uint8Array | undefined;
    /** The same on both sides once done, and in no other handshake. */
    get handshakeHash(): Uint8Array;
    write(payload?: Uint8Array<ArrayBuffer>): Uint8Array;
    /** The payload of the peer's message. Throws `NoiseError`. */
    read(message: Uint8Array): Uint8Array;
    /** What protects the link from now on; the handshake is over. */
    split(): Transport;
    private get hasPsk();
    private tokens;
    private check;
    private begin;
    private finish;
    private turn;
    private writeToken;
    /** Take a token off the front of a message. */
    private readToken;
    private takeEphemeral;
    private mix;
}
/** How long the link message of a batch is. */
export declare const sealedBytes: (batchBytes: number) => number;
/** Both directions of a protected link, messages in order, none lost. Any error ends it. */
export declare class Transport {
    private readonly sending;
    private readonly receiving;
    private over;
    constructor(sending: CipherState, receiving: CipherState);
    /** The link message of a batch, which is not empty. */
    seal(batch: Uint8Array): Uint8Array;
    /** The batch of a link message. Throws `NoiseError`. */
    open(message: Uint8Array): Uint8Array;
    private begin;
    private end;
}
export {};
