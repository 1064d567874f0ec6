export declare const SALT_BYTES = 8;
/** A link message less the head of the batch and of the record. */
export declare const MAX_PAYLOAD_BYTES: number;
/** Room for the largest list and for what every answer may have to add at its end. */
export declare const MIN_PAYLOAD_BYTES = 8192;
/** Bytes, each as one character: such texts are compared, sorted and found by their bytes. */
type Binary = string;
/** Document names and their fingerprints at one moment, in the order of their bytes. */
export declare class Catalogue {
    private readonly entries;
    private readonly names;
    /** Places at which a block begins. */
    private readonly blocks;
    /** A name that no peer would take is left out. */
    constructor(documents: Iterable<readonly [name: string, fingerprint: Uint8Array]>);
    get size(): number;
    /** Where a range begins and ends; no lower or upper bound is none at all. */
    places({ lower, upper }: Bounds): [start: number, end: number];
    slice(start: number, end: number): Binary[];
    /** What a list says of a document that is there, beside its name. */
    short(name: Binary, salt: Uint8Array): Uint8Array;
    /** The digest of the documents at these places, at least one. */
    digest(start: number, end: number, salt: Uint8Array): Uint8Array;
    /** The shortest bound between the names before and at a place, which is not 0. */
    bound(place: number): Binary;
}
/**
 * What one payload leads to: the payload to send, or null where nothing was asked; names that differ
 * (one may come again in a later turn); whether nothing will come back.
 */
export interface Answer {
    reply: Uint8Array | null;
    differing: string[];
    finished: boolean;
}
/** The first payload: one digest of everything. The salt is 8 random bytes, new for each exchange. */
export declare function opening(catalogue: Catalogue, salt: Uint8Array): Uint8Array;
/** Compare a payload with the catalogue; the reply is at most `maxBytes`. Throws Malformed. */
export declare function answer(catalogue: Catalogue, payload: Uint8Array, maxBytes?: number): Answer;
/** How many payloads of one exchange to answer before giving the peer up. */
export declare function mostTurns(maxBytes: number): number;
interface Bounds {
    lower: Binary;
    upper: Binary;
}
export {};
