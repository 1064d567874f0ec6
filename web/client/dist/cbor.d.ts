export type Value = number | Uint8Array | string | Value[] | Map<number, Value>;
/** The value that exactly these bytes are. Throws `Malformed`. */
export declare function decode(data: Uint8Array): Value;
/** The encoding of an array of byte strings and texts. */
export declare function encodeArray(values: (Uint8Array | string)[]): Uint8Array;
