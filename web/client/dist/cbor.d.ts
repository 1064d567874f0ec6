export type Value = number | Uint8Array | string | Value[] | Map<number, Value>;
/** The value that exactly these bytes are. Throws `Malformed`. */
export declare function decode(data: Uint8Array): Value;
/** The encoding of an array of byte strings and texts. */
export declare function encodeArray(values: (Uint8Array | string)[]): Uint8Array;
/** The encoding of a map from 0, 1, 2 … to these values; fewer than 24. */
export declare function encodeMap(values: (Uint8Array | string | number)[]): Uint8Array;
