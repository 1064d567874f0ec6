// Everything a page without a build step needs, in one file.
export * from './index'
export { Awareness } from 'y-protocols/awareness'
export * as Y from 'yjs'
