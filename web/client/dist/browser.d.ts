export * from './index';
export { Awareness } from 'y-protocols/awareness';
export * as Y from 'yjs';
