import * as Y from 'yjs';
export declare function canonical(doc: Y.Doc): Uint8Array;
export declare function fingerprint(doc: Y.Doc): Uint8Array;
