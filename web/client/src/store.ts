// The store as an app sees it: documents by name over one link that mends itself.
import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'
import { StoreDocument, type Refusal, type SaveState } from './document'
import type { LinkState } from './caller'
import { Unreached } from './errors'
import { Links, type LinkOptions } from './links'
import { guarded } from './report'
import type { Selector } from './selector'
import type { Session } from './session'
import { LiveSet } from './subscription'

export interface Events {
  link: (state: LinkState, reason: string) => void
  state: (document: string, state: SaveState) => void
  synced: (document: string) => void
  refused: (refusal: Refusal) => void
  /** This device became a member of a store, here or in another window. */
  paired: () => void
}

export interface Options extends LinkOptions {
  /** Keep a copy on this device (IndexedDB, where there is one). */
  offline?: boolean
  /** Databases of different apps on one origin are told apart by this. */
  prefix?: string
}

const TICK_MS = 1_000
const PASSING = new Set([4205, 4429, 4503, 4507])
const RETRY_MS = 5_000
const KEPT_REFUSALS = 100
// What live changes missed, should anything ever be, is found by the next comparison.
const COMPARE_MS = 300_000

export class Store {
  link: LinkState = 'connecting'
  /** By what it is online. */
  via: 'network' | 'bluetooth' | null = null
  readonly refusals: Refusal[] = []
  private documents = new Map<string, StoreDocument>()
  private listeners = new Map<keyof Events, Set<(...values: any[]) => void>>()
  // Of the link that carries the documents.
  private session: Session | null = null
  private retries = new Map<string, ReturnType<typeof setTimeout>>()
  private liveSets = new Map<LiveSet, number>()
  private nextSubscription = 1
  // Changed in this second, and in the one before it: what a gateway passed on it writes meanwhile.
  private fresh = new Set<StoreDocument>()
  private settling = new Set<StoreDocument>()
  // What was not compared yet on this link.
  private uncompared = new Set<number>()
  private ticker: ReturnType<typeof setInterval>
  private ended = false
  private waiting = new Set<() => void>()
  private readonly links: Links

  constructor(private options: Options) {
    this.links = new Links(options, {
      entered: (session) => this.entered(session),
      left: (session) => this.left(session),
      changed: () => this.linkChanged(),
      paired: () => this.emit('paired'),
      owes: () => [...this.documents.values()].some(({ state }) => state !== 'saved'),
      isSettled: () => this.isSettled(),
      offered: (name) => {
        if (this.setsOf(name).length) this.join(this.get(name, true), true)
      },
      closed: (name) => {
        const document = this.documents.get(name)
        // The app asked for it by name, too.
        if (document && (!document.selected || document.followed)) this.join(document)
      },
      compared: (subscription, differing) => this.compared(subscription, differing),
    })
    this.ticker = setInterval(this.tick, TICK_MS)
  }

  /** This device is a member of a store; known once the first link is tried. */
  get paired(): boolean {
    return this.links.paired
  }

  /** This device is not let in, or not any more, until it is paired (`pair`); nothing is tried by itself meanwhile. */
  get needsPairing(): boolean {
    return this.links.needsPairing
  }

  /**
   * Become a member of the gateway's store, by the code that it shows or the text of its QR code. Resolves when that is kept on
   * this device. Rejects with `PairingCodeError` if it is no code, and with `Unreached` when the gateway does not take it.
   */
  pair(code: string): Promise<void> {
    return this.links.pair(code)
  }

  /**
   * Let the user choose the gateway to talk to by Bluetooth. Browsers want that called in a click. Rejects with `Unreached`, and a sentence for
   * people, where there is no Bluetooth or nothing was chosen.
   */
  chooseBluetooth(): Promise<void> {
    return this.links.chooseBluetooth()
  }

  /** Whether a gateway that advertises this digest (docs/bluetooth.md) need not be called. */
  upToDate(digest: Uint8Array): boolean {
    return this.links.upToDate(digest)
  }

  /** The Yjs document of that name; the same one every time. */
  doc(name: string): Y.Doc {
    const document = this.get(name)
    if (document.selected) {
      document.keep()
      this.join(document)
    }
    return document.doc
  }

  /**
   * The documents of a collection that match, now and later, on this device and from the gateway.
   * Throws `SelectorError` when the selector cannot be used (docs/selectors.md).
   */
  subscribe(collection: string, selector: Selector = {}): LiveSet {
    const number = this.nextSubscription++
    const set = new LiveSet(collection, selector, {
      known: () => this.of(collection),
      changed: (set) => {
        this.links.wantsMore()
        this.session?.subscribe(number, collection, JSON.stringify(set.selector))
        this.compare(set)
      },
      ended: (set) => { this.liveSets.delete(set); this.uncompared.delete(number); this.session?.unsubscribe(number); this.flush() },
      load: async (set) => {
        try {
          await this.loadSelected(set)
        } finally {
          set.loaded = true
          this.compare(set)
        }
      },
    })
    this.liveSets.set(set, number)
    this.uncompared.add(number)
    this.links.wantsMore()
    this.session?.subscribe(number, collection, JSON.stringify(selector))
    this.flush()
    return set
  }

  /** Who else is in the document (y-protocols awareness). */
  awareness(name: string): Awareness {
    return this.follow(name).awareness
  }

  state(name: string): SaveState {
    return this.get(name).state
  }

  /** The copy on this device has been read. */
  whenLoaded(name: string): Promise<void> {
    return this.get(name).loaded
  }

  /** Both sides have what the other had. Rejects with `Unreached` when it is released or the store ends. */
  whenSynced(name: string): Promise<void> {
    const document = this.follow(name)
    return this.until(() => document.synchronised, () => this.gone(document))
  }

  /**
   * Everything (of one document) is on a gateway's disk. Rejects with `Unreached` when a change is refused for good, when
   * the document is released, and when the store ends.
   */
  whenSaved(name?: string): Promise<void> {
    const one = name === undefined ? null : this.get(name)
    const wanted = () => (one ? [one] : [...this.documents.values()])
    return this.until(
      () => wanted().every(({ state }) => state === 'saved'),
      () => (one && this.gone(one)) || wanted().map(lostHope).find(Boolean) || '',
    )
  }

  /** No more interest for now; the copy on this device stays. */
  async release(name: string): Promise<void> {
    const document = this.documents.get(name)
    if (!document) return
    this.documents.delete(name)
    this.check()
    this.session?.release(name)
    this.flush()
    for (const set of this.liveSets.keys()) set.forget(name)
    await document.close()
  }

  on<Name extends keyof Events>(name: Name, listener: Events[Name]): () => void {
    const set = this.listeners.get(name) ?? new Set()
    this.listeners.set(name, set.add(listener))
    return () => void set.delete(listener)
  }

  async destroy(): Promise<void> {
    this.ended = true
    this.check()
    clearInterval(this.ticker)
    for (const retry of this.retries.values()) clearTimeout(retry)
    this.links.end()
    await Promise.all([...this.documents.values()].map((document) => document.close()))
    this.documents.clear()
  }

  private *of(collection: string): Iterable<StoreDocument> {
    for (const document of this.documents.values()) if (collectionOf(document.name) === collection) yield document
  }

  private get keepsCopies(): boolean {
    return (this.options.offline ?? true) && typeof indexedDB !== 'undefined'
  }

  private get prefix(): string {
    return `${this.options.prefix ?? 'store-gateway'}/`
  }

  /** Open what is on this device; copies that match no more and are saved elsewhere go. */
  private async loadSelected(set: LiveSet): Promise<void> {
    if (!this.keepsCopies || !indexedDB.databases) return
    const prefix = `${this.prefix}${set.collection}/`
    const stored = (await indexedDB.databases()).flatMap(({ name }) => (name?.startsWith(prefix) ? [name.slice(this.prefix.length)] : []))
    await Promise.all(stored.map(async (name) => {
      const document = this.get(name, true)
      await document.loaded
      if (this.documents.get(name) !== document) return
      set.consider(document, false)
      const wanted = [...this.liveSets.keys()].some((one) => one.documents.has(name))
      if (wanted || !document.selected || document.state !== 'saved') return
      this.documents.delete(name)
      this.session?.release(name)
      this.flush()
      await document.evict()
    }))
  }

  private touched(document: StoreDocument, arrived: boolean): void {
    if (arrived) this.fresh.add(document)
    for (const set of this.setsOf(document.name)) set.consider(document, true)
  }

  private get(name: string, selected = false): StoreDocument {
    const known = this.documents.get(name)
    if (known) return known
    const database = this.keepsCopies ? this.prefix + name : null
    const document = new StoreDocument(name, {
      update: (document, update) => {
        if (this.session?.isOpen(document.name)) this.session.update(document.name, update)
        else this.join(document)
        this.flush()
      },
      awareness: (name, payload) => { this.session?.awareness(name, payload); this.flush() },
      changed: ({ name, state }) => this.emit('state', name, state),
      isSynced: ({ name }) => this.emit('synced', name),
      touched: (document, arrived) => this.touched(document, arrived),
      refused: (refusal) => this.refused(refusal),
    }, database, selected)
    this.documents.set(name, document)
    this.links.wantsMore()
    this.join(document)
    return document
  }

  private follow(name: string): StoreDocument {
    const document = this.get(name)
    if (!document.followed) {
      document.followed = true
      this.links.wantsMore()
      this.join(document)
    }
    return document
  }

  /** Open a document on the link, unless comparing finds out whether that is needed. */
  private join(document: StoreDocument, wanted = false): void {
    // What is on this device is read first, so that only what is missing travels.
    void document.loaded.then(() => {
      if (this.documents.get(document.name) !== document) return
      const compared = document.idle && this.session?.reconciles && this.setsOf(document.name).length
      if (wanted || !compared) this.session?.open(document)
      this.flush()
    })
  }

  private setsOf(name: string): LiveSet[] {
    return [...this.liveSets.keys()].filter(({ collection }) => collection === collectionOf(name))
  }

  /** Find out, together with the gateway, what differs of a subscription. */
  private compare(set: LiveSet): void {
    const number = this.liveSets.get(set)
    if (number !== undefined && set.loaded) {
      this.uncompared.add(number)
      set.comparedAt = Date.now()
      this.session?.compare(number, this.held(set))
    }
    this.flush()
  }

  private *held(set: LiveSet): Iterable<StoreDocument> {
    for (const name of set.documents.keys()) {
      const document = this.documents.get(name)
      if (document && !document.empty) yield document
    }
  }

  /** All else is the same on the gateway. */
  private compared(subscription: number, differing: Set<string>): void {
    this.uncompared.delete(subscription)
    for (const [set, number] of this.liveSets) {
      if (number !== subscription) continue
      for (const document of this.held(set)) {
        if (differing.has(document.name) || this.session?.isOpen(document.name)) continue
        document.synced()
        this.fresh.add(document)
      }
    }
  }

  private refused(refusal: Refusal): void {
    this.refusals.push(refusal)
    if (this.refusals.length > KEPT_REFUSALS) this.refusals.shift()
    this.emit('refused', refusal)
    // A full or busy gateway may take it later.
    const name = refusal.document
    if (!PASSING.has(refusal.code) || this.retries.has(name)) return
    this.retries.set(name, setTimeout(() => {
      this.retries.delete(name)
      this.session?.release(name)
      const document = this.documents.get(name)
      if (document) this.join(document)
    }, RETRY_MS * (1 + this.random())))
  }

  /** Everything goes by this session from now on. */
  private entered(session: Session): void {
    this.session = session
    this.uncompared = new Set(this.liveSets.values())
    for (const [set, number] of this.liveSets) session.subscribe(number, set.collection, JSON.stringify(set.selector))
    for (const document of this.documents.values()) this.join(document)
    for (const set of this.liveSets.keys()) this.compare(set)
  }

  /** It is over, or another one is better. */
  private left(session: Session): void {
    this.session = null
    this.fresh.clear()
    this.settling.clear()
    for (const number of this.liveSets.values()) session.unsubscribe(number)
    for (const document of this.documents.values()) {
      session.release(document.name)
      document.unlinked()
    }
  }

  private isSettled(): boolean {
    const selected = new Set([...this.liveSets.keys()].flatMap(({ documents }) => [...documents.keys()]))
    const isMissing = (document: StoreDocument) =>
      !document.synchronised && (!document.idle || (selected.has(document.name) && !document.empty))
    return !this.uncompared.size && ![...this.documents.values()].some(isMissing)
  }

  private linkChanged(): void {
    const { state, reason, via } = this.links
    if (state === this.link && via === this.via) return
    this.link = state
    this.via = via
    this.emit('link', state, reason)
  }

  private random(): number {
    return (this.options.random ?? Math.random)()
  }

  private tick = (): void => {
    const now = Date.now()
    this.links.tick(now)
    if (!this.session) return
    this.settle()
    for (const set of this.liveSets.keys()) if (now - set.comparedAt > COMPARE_MS) this.compare(set)
  }

  private settle(): void {
    for (const document of this.settling) if (!this.fresh.has(document)) document.settled()
    this.settling = this.fresh
    this.fresh = new Set()
  }

  private flush = (): void => {
    this.links.flush()
  }

  private emit(name: keyof Events, ...values: unknown[]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) guarded(() => listener(...values))
    this.check()
  }

  private check(): void {
    for (const look of [...this.waiting]) look()
  }

  private gone(document: StoreDocument): string {
    return this.documents.get(document.name) === document ? '' : `${document.name} was released`
  }

  /** Rejects as soon as `hopeless` says why it never will be `reached`. */
  private until(reached: () => boolean, hopeless: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const why = this.ended ? 'the store was ended' : hopeless()
        if (!why && !reached()) return
        this.waiting.delete(look)
        if (why) reject(new Unreached(why))
        else resolve()
      }
      this.waiting.add(look)
      look()
    })
  }
}

/** Join a store through its gateway. Works offline at once; connects by itself. */
export function connect(options: Options): Store {
  return new Store(options)
}

function collectionOf(name: string): string {
  return name.slice(0, name.indexOf('/'))
}

/** Why a document will not be saved as it is, or ''. */
function lostHope({ name, state, refusal }: StoreDocument): string {
  return state === 'saved' || !refusal || PASSING.has(refusal.code) ? '' : `${name} was refused: ${refusal.reason}`
}
