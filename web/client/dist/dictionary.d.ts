export declare const DICTIONARY: Uint8Array<ArrayBuffer>;
