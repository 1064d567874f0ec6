export declare function splitUpdate(update: Uint8Array, limit: number): Uint8Array[];
