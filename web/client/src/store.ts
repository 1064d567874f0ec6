// The store as an app sees it: documents by name over one link that mends itself.
import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'
import { StoreDocument, type Refusal, type SaveState } from './document'
import { Calling } from './entrance'
import { Identity, random } from './identity'
import { KeyPair } from './noise'
import { pairingSecret, type PairingSecret } from './pairing-uri'
import { guarded } from './report'
import type { Selector } from './selector'
import { Session } from './session'
import { LiveSet } from './subscription'
import type { Pairs } from './wire'

export type LinkState = 'connecting' | 'online' | 'offline' | 'refused'

export interface Events {
  link: (state: LinkState, reason: string) => void
  state: (document: string, state: SaveState) => void
  synced: (document: string) => void
  refused: (refusal: Refusal) => void
  /** This device became a member of a store, here or in another window. */
  paired: () => void
}

export interface Options {
  /** ws://host:port, with or without /mesh; http(s) addresses are understood too. */
  url: string
  token?: string
  /** What peers and the status page show of this device. */
  name?: string
  app?: string
  appVersion?: string
  schema?: string
  /** Keep a copy on this device (IndexedDB, where there is one). */
  offline?: boolean
  /** Databases of different apps on one origin are told apart by this. */
  prefix?: string
  WebSocket?: typeof WebSocket
  random?: () => number
}

const PING_MS = 15_000
const SILENCE_MS = 45_000
const PROBE_MS = 3_000
const TICK_MS = 1_000
const HANDSHAKE_MS = 10_000
const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 30_000
const REFUSED_WAIT_MS = 60_000
const STEADY_MS = 5_000
const FATAL = new Set([4401, 4403, 4410, 4421, 4426])
// Only a new pairing mends these, where who said them had a right to.
const UNPAIRED = new Set([4401, 4410, 4421])
const PASSING = new Set([4205, 4429, 4503, 4507])
const RETRY_MS = 5_000
const KEPT_REFUSALS = 100
// What live changes missed, should anything ever be, is found by the next comparison.
const COMPARE_MS = 300_000
const KEY_BYTES = 32

/** What was waited for will not come; the message says why. */
export class Unreached extends Error {
  override readonly name = 'Unreached'
}

/** A call that shall make this device a member of a store. */
interface Pairing { secret: PairingSecret; done(): void; failed(error: Error): void }

export class Store {
  link: LinkState = 'connecting'
  /** This device is not let in, or not any more, until it is paired (`pair`); nothing is tried by itself meanwhile. */
  needsPairing = false
  readonly refusals: Refusal[] = []
  private documents = new Map<string, StoreDocument>()
  private listeners = new Map<keyof Events, Set<(...values: any[]) => void>>()
  private socket: WebSocket | null = null
  private session: Session | null = null
  private flushing = false
  private attempts = 0
  private retry: ReturnType<typeof setTimeout> | undefined
  private retries = new Map<string, ReturnType<typeof setTimeout>>()
  private liveSets = new Map<LiveSet, number>()
  private nextSubscription = 1
  // Changed in this second, and in the one before it: what a gateway passed on it writes meanwhile.
  private fresh = new Set<StoreDocument>()
  private settling = new Set<StoreDocument>()
  private ticker: ReturnType<typeof setInterval>
  private heardAt = 0
  private saidAt = 0
  private openedAt = 0
  private deadline = Infinity
  private ended = false
  private waiting = new Set<() => void>()
  private readonly url: string
  private readonly identified: Promise<void>
  private identity: Identity | null = null
  private pairing: Pairing | null = null
  // What the link of now is for.
  private attempt: Pairing | null = null
  private calling: Calling | null = null

  constructor(private options: Options) {
    if (!(options.WebSocket ?? globalThis.WebSocket)) throw new TypeError('there is no WebSocket here: give one, such as that of ws, as options.WebSocket')
    this.url = address(options.url)
    this.ticker = setInterval(this.tick, TICK_MS)
    globalThis.addEventListener?.('online', this.hurry)
    globalThis.document?.addEventListener('visibilitychange', this.hurry)
    this.identified = this.identify()
  }

  /** This device is a member of a store; known once the first link is tried. */
  get paired(): boolean {
    return !!this.identity?.membership
  }

  /**
   * Become a member of the gateway's store, by the code that it shows or the text of its QR code. Resolves when that is kept on
   * this device. Rejects with `PairingCodeError` if it is no code, and with `Unreached` when the gateway does not take it.
   */
  async pair(code: string): Promise<void> {
    const secret = pairingSecret(code)
    await this.identified
    if (this.ended) throw new Unreached('the store was ended')
    this.pairing?.failed(new Unreached('another code was given'))
    await new Promise<void>((done, failed) => {
      this.pairing = { secret, done, failed }
      this.redial()
    })
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
      changed: (set) => { this.session?.subscribe(number, collection, JSON.stringify(set.selector)); this.compare(set) },
      ended: (set) => { this.liveSets.delete(set); this.session?.unsubscribe(number); this.flush() },
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
    this.pairing?.failed(new Unreached('the store was ended'))
    clearInterval(this.ticker)
    clearTimeout(this.retry)
    for (const retry of this.retries.values()) clearTimeout(retry)
    globalThis.removeEventListener?.('online', this.hurry)
    globalThis.document?.removeEventListener('visibilitychange', this.hurry)
    this.session?.close(1001, 'the app ended')
    this.drain()
    this.socket?.close()
    this.identity?.close()
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
    this.join(document)
    return document
  }

  private follow(name: string): StoreDocument {
    const document = this.get(name)
    if (!document.followed) {
      document.followed = true
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

  private async identify(): Promise<void> {
    const identity = await Identity.load()
    if (this.ended) return identity.close()
    this.identity = identity
    identity.onGained = () => this.gained()
    this.connect()
  }

  /** With a membership never in the open, whatever answers. */
  private entrance(identity: Identity, pairing: Pairing | null): Calling | null {
    const { peer, keys, membership } = identity
    if (!membership && !pairing) return null
    const name = this.options.name ?? this.options.app ?? ''
    const gateway = identity.gateway(this.url)
    return new Calling({ peer, keys, membership, gateway, pairing: pairing?.secret, name }, new KeyPair(random(KEY_BYTES)))
  }

  /** Another window was paired: come back as what this device is now. */
  private gained(): void {
    this.needsPairing = false
    this.emit('paired')
    if (!this.pairing) this.redial()
  }

  /** Call anew, at once. */
  private redial(): void {
    const { socket } = this
    this.session?.close(1001, 'this device comes back as another member')
    if (socket) this.lost(socket, 1001, '')
    clearTimeout(this.retry)
    this.attempts = 0
    this.connect()
  }

  private random(): number {
    return (this.options.random ?? Math.random)()
  }

  private connect = (): void => {
    const { identity, pairing } = this
    if (this.ended || this.socket || !identity) return
    this.become('connecting', '')
    const Socket = this.options.WebSocket ?? WebSocket
    const socket = (this.socket = new Socket(this.url))
    socket.binaryType = 'arraybuffer'
    this.heardAt = Date.now()
    this.deadline = this.heardAt + HANDSHAKE_MS
    let farewell: { code: number; reason: string; retryMs: number; told: boolean } | null = null
    this.attempt = pairing
    const calling = (this.calling = this.entrance(identity, pairing))
    const introduction = { peer: identity.peer, about: about(this.options), token: this.options.token }
    const session = (this.session = new Session(introduction, {
      opened: () => {
        this.openedAt = Date.now()
        this.needsPairing = false
        if (calling) identity.meet(this.url, calling.channel.remoteStatic)
        this.become('online', '')
        for (const document of this.documents.values()) this.join(document)
        for (const set of this.liveSets.keys()) this.compare(set)
      },
      gained: (membership) => {
        void identity.gain(membership).then(pairing!.done)
        this.pairing = null
        this.needsPairing = false
        this.emit('paired')
      },
      revoked: () => void identity.keepRevocations(),
      offered: (name) => {
        if (this.setsOf(name).length) this.join(this.get(name, true), true)
      },
      closed: (name) => {
        const document = this.documents.get(name)
        // The app asked for it by name, too.
        if (document && (!document.selected || document.followed)) this.join(document)
      },
      compared: (subscription, differing) => this.compared(subscription, differing),
      ended: (code, reason, retryMs, told) => {
        farewell = { code, reason, retryMs, told }
        this.drain()
        socket.close()
      },
    }, calling))
    for (const [set, number] of this.liveSets) session.subscribe(number, set.collection, JSON.stringify(set.selector))
    socket.onopen = () => {
      this.heardAt = Date.now()
      this.drain()
    }
    socket.onmessage = ({ data }) => {
      this.heardAt = Date.now()
      this.deadline = Infinity
      if (data instanceof ArrayBuffer) session.receive(new Uint8Array(data))
      else session.close(4400, 'a text message')
      this.flush()
    }
    socket.onerror = () => {}
    socket.onclose = (event) => {
      const { code, reason, retryMs, told } = farewell ?? { code: event.code, reason: event.reason, retryMs: 0, told: !calling }
      this.lost(socket, code, reason, retryMs, told)
    }
  }

  /** `told`: the other side gave the code, where that counts. */
  private lost(socket: WebSocket, code: number, reason: string, retryMs = 0, told = false): void {
    if (this.socket !== socket) return
    const { calling, attempt } = this
    this.socket = this.session = this.calling = this.attempt = null
    this.deadline = Infinity
    this.fresh.clear()
    this.settling.clear()
    for (const document of this.documents.values()) document.unlinked()
    if (this.ended) return
    if (this.openedAt && Date.now() - this.openedAt > STEADY_MS) this.attempts = 0
    this.openedAt = 0
    const failed = attempt !== null && attempt === this.pairing
    if (failed) {
      this.pairing = null
      attempt.failed(new Unreached(reason || 'the gateway was not reached'))
    } else if (told && UNPAIRED.has(code)) this.needsPairing = true
    if (this.needsPairing) {
      this.become('refused', reason)
      // A stranger who got the store's address can say so too, until its gateway is back: no app should have to be touched then.
      if (this.identity!.membership) this.retry = setTimeout(this.connect, REFUSED_WAIT_MS)
      return
    }
    // It may be another gateway of the store: ask for its key.
    const anew = FATAL.has(code) && calling && !calling.met && this.identity!.forget(this.url)
    const fatal = FATAL.has(code) && !failed && !anew
    this.become(fatal ? 'refused' : 'offline', reason)
    this.retry = setTimeout(this.connect, fatal ? REFUSED_WAIT_MS : retryMs || this.wait())
  }

  private wait(): number {
    const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.attempts++)
    return this.random() * most
  }

  /** The network came back or the page was looked at: do not wait for the back-off. */
  private hurry = (): void => {
    if (globalThis.document?.visibilityState === 'hidden') return
    this.attempts = 0
    if (this.socket) {
      this.session?.ping()
      this.deadline = Date.now() + PROBE_MS
      this.flush()
    } else {
      clearTimeout(this.retry)
      this.connect()
    }
  }

  private tick = (): void => {
    const now = Date.now()
    if (!this.socket) return
    if (this.link === 'online') this.settle()
    for (const set of this.liveSets.keys()) if (now - set.comparedAt > COMPARE_MS) this.compare(set)
    if (now > this.deadline || now - this.heardAt > SILENCE_MS) {
      const socket = this.socket
      socket.close()
      this.lost(socket, 4408, 'nothing was heard for too long')
    } else if (this.link === 'online' && now - this.saidAt > PING_MS) {
      this.session?.ping()
      this.flush()
    }
  }

  private settle(): void {
    for (const document of this.settling) if (!this.fresh.has(document)) document.settled()
    this.settling = this.fresh
    this.fresh = new Set()
  }

  /** Everything said in one turn goes out together. */
  private flush = (): void => {
    if (this.flushing) return
    this.flushing = true
    queueMicrotask(() => {
      this.flushing = false
      this.drain()
    })
  }

  private drain(): void {
    if (this.socket?.readyState !== 1) return
    for (const message of this.session?.dataToSend() ?? []) {
      this.saidAt = Date.now()
      this.socket.send(message as Uint8Array<ArrayBuffer>)
    }
  }

  private become(state: LinkState, reason: string): void {
    if (state === this.link) return
    this.link = state
    this.emit('link', state, reason)
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

function address(url: string): string {
  const parsed = new URL(url.replace(/^http/, 'ws'))
  if (parsed.pathname === '/') parsed.pathname = '/mesh'
  return parsed.href
}

function about({ name, app, appVersion, schema }: Options): Pairs {
  const pairs: [string, string | undefined][] = [['app', app], ['app-version', appVersion], ['schema', schema], ['name', name]]
  return pairs.filter((pair): pair is [string, string] => pair[1] !== undefined)
}

/** Why a document will not be saved as it is, or ''. */
function lostHope({ name, state, refusal }: StoreDocument): string {
  return state === 'saved' || !refusal || PASSING.has(refusal.code) ? '' : `${name} was refused: ${refusal.reason}`
}
