// What an app subscribed to: the documents of a collection that match, kept true as they change.
import type * as Y from 'yjs'
import type { StoreDocument } from './document'
import { guarded } from './report'
import { compile, fieldsOf, type Selector } from './selector'

export type Change = { added: string[]; removed: string[]; changed: string[] }

/** The documents that match at the moment. Works offline with what is on this device. */
export class LiveSet {
  /** By name; the same `Y.Doc` that `store.doc(name)` gives. */
  readonly documents = new Map<string, Y.Doc>()
  /** What is on this device has been looked through. */
  readonly whenLoaded: Promise<void>
  /** @internal */
  loaded = false
  /** @internal */
  comparedAt = 0
  private matches: (fields: Record<string, unknown>) => boolean
  private listeners = new Set<(change: Change) => void>()
  private pending: Change | null = null

  /** @internal */
  constructor(
    readonly collection: string,
    public selector: Selector,
    private owner: { known(): Iterable<StoreDocument>; changed(set: LiveSet): void; ended(set: LiveSet): void; load(set: LiveSet): Promise<void> },
  ) {
    this.matches = compile(selector)
    this.considerAll()
    this.whenLoaded = owner.load(this)
  }

  /** Called after something changed, at most once a turn; gives a function that ends it. */
  on(listener: (change: Change) => void): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Ask for something else; no new link is made. */
  select(selector: Selector): void {
    this.matches = compile(selector)
    this.selector = selector
    this.considerAll()
    this.owner.changed(this)
  }

  /** No more interest; what is on this device stays until the space is needed. */
  close(): void {
    this.listeners.clear()
    this.documents.clear()
    this.owner.ended(this)
  }

  /** @internal */
  consider(document: StoreDocument, changed: boolean): void {
    const { name, doc } = document
    const wanted = this.matches(fieldsOf(doc))
    if (wanted && this.documents.get(name) !== doc) {
      this.documents.set(name, doc)
      this.note('added', name)
    } else if (wanted) {
      if (changed) this.note('changed', name)
    } else if (this.documents.delete(name)) this.note('removed', name)
  }

  /** @internal */
  forget(name: string): void {
    if (this.documents.delete(name)) this.note('removed', name)
  }

  private considerAll(): void {
    for (const document of this.owner.known()) this.consider(document, false)
  }

  private note(kind: keyof Change, name: string): void {
    if (this.pending === null) {
      this.pending = { added: [], removed: [], changed: [] }
      queueMicrotask(() => {
        const change = this.pending!
        this.pending = null
        for (const listener of [...this.listeners]) guarded(() => listener(change))
      })
    }
    if (!this.pending[kind].includes(name)) this.pending[kind].push(name)
  }
}
