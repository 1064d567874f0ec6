export declare function equal(one: Uint8Array, other: Uint8Array): boolean;
/** Below, equal or above 0, byte by byte; of two that begin alike the shorter comes first. */
export declare function compare(one: Uint8Array, other: Uint8Array): number;
export declare function hex(bytes: Uint8Array): string;
export declare function joined(parts: Uint8Array[]): Uint8Array;
