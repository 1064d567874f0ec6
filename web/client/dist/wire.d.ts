export type Pairs = [string, string][];
export type Message = {
    type: 'HELLO';
    lowest: number;
    highest: number;
    peer: Uint8Array;
    features: number;
    message_bytes: number;
    about: Pairs;
} | {
    type: 'AUTH';
    method: number;
    credential: Uint8Array;
} | {
    type: 'GRANT';
    grants: [string, number][];
} | {
    type: 'GOODBYE';
    code: number;
    reason: string;
    retry_ms: number;
} | {
    type: 'PING';
    nonce: number;
} | {
    type: 'PONG';
    nonce: number;
} | {
    type: 'OPEN';
    handle: number;
    document: string;
    state_vector: Uint8Array;
} | {
    type: 'DIFF';
    handle: number;
    flags: number;
    fingerprint: Uint8Array;
    update: Uint8Array;
} | {
    type: 'UPDATE';
    handle: number;
    update: Uint8Array;
} | {
    type: 'CLOSE';
    handle: number;
} | {
    type: 'ACK';
    number: number;
} | {
    type: 'REFUSE';
    number: number;
    code: number;
    reason: string;
} | {
    type: 'DENY';
    document: string;
    code: number;
    reason: string;
} | {
    type: 'AWARENESS';
    handle: number;
    payload: Uint8Array;
} | {
    type: 'STALE';
    handle: number;
} | {
    type: 'SUBSCRIBE';
    subscription: number;
    collection: string;
    selector: string;
} | {
    type: 'UNSUBSCRIBE';
    subscription: number;
} | {
    type: 'RECONCILE';
    exchange: number;
    ranges: Uint8Array;
} | {
    type: 'PEERS';
    entries: PeerEntry[];
} | {
    type: 'NOISE';
    pattern: number;
    message: Uint8Array;
} | {
    type: 'MEMBER';
    method: number;
    credential: Uint8Array;
} | {
    type: 'TICKET';
    credential: Uint8Array;
    root: Uint8Array;
} | {
    type: 'REVOKED';
    entry: Uint8Array;
} | {
    type: 'DIGEST';
    revocations: Uint8Array;
} | {
    type: 'DEFLATED';
    batch: Uint8Array;
} | {
    type: 'STATE';
    digest: Uint8Array;
};
export type PeerEntry = {
    peer: Uint8Array;
    role: number;
    via: Uint8Array;
    link: number;
    round_trip_ms: number;
    about: Pairs;
};
/** The peer sent bytes that are not this protocol; the link is closed with 4400. */
export declare class Malformed extends Error {
}
export declare const MESSAGE_BYTES = 262144;
export declare class Writer {
    private parts;
    varint(value: number): this;
    raw(bytes: Uint8Array): this;
    bytes(bytes: Uint8Array): this;
    string(text: string): this;
    done(): Uint8Array;
}
export declare class Reader {
    readonly data: Uint8Array;
    position: number;
    constructor(data: Uint8Array);
    get left(): number;
    varint(): number;
    take(length: number): Uint8Array;
    bytes(): Uint8Array;
    string(): string;
    rest(): Uint8Array;
}
/** One record with its length, ready to be joined into a message. */
export declare function encode(message: Message): Uint8Array;
/** The known records of one link message; throws Malformed. */
export declare function decode(data: Uint8Array): Message[];
/** Join framed records into as few messages of at most `limit` bytes as their order allows. */
export declare function batches(framed: Uint8Array[], limit: number): Uint8Array[];
