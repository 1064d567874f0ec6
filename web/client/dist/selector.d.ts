import * as Y from 'yjs';
export type Json = null | boolean | number | string | Json[] | {
    [key: string]: Json;
};
/** `{ station: 'grill', status: { $in: ['open', 'cooking'] } }` */
export type Selector = {
    [key: string]: Json;
};
type Fields = Record<string, unknown>;
export declare class SelectorError extends Error {
}
/** The test of a selector: give it the fields of a document. Throws `SelectorError`. */
export declare function compile(selector: Selector): (fields: Fields) => boolean;
/** The fields of a document: its roots, and what is in its root maps. */
export declare function fieldsOf(doc: Y.Doc): Fields;
export {};
