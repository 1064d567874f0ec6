export { connect, Store, Unreached, type Events, type LinkState, type Options } from './store';
export type { Refusal, SaveState } from './document';
export { PairingCodeError } from './pairing-code';
export { canonical, fingerprint } from './fingerprint';
export { batches, decode, encode, Malformed, type Message } from './wire';
export { splitUpdate } from './split';
export { compile, fieldsOf, SelectorError, type Selector } from './selector';
export { LiveSet, type Change } from './subscription';
export { answer, Catalogue, MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES, opening, type Answer } from './reconcile';
