// The calling side of one mesh link: protocol state only, used once, no I/O of its own.
import * as Y from 'yjs'
import type { Calling, Membership } from './entrance'
import { Exchanges } from './exchanges'
import { NoiseError } from './noise'
import { equal } from './octets'
import { pack, PackedError, unpack } from './packing'
import { Catalogue, MIN_PAYLOAD_BYTES } from './reconcile'
import { guarded } from './report'
import { UNAUTHORISED, Untrusted } from './signed'
import { splitUpdate } from './split'
import { batches, decode, encode, Malformed, MESSAGE_BYTES, type Message, type Pairs } from './wire'

const VERSION = 1
const FEATURE_RECONCILE = 2
const FEATURE_DEFLATE = 16
const FEATURE_STATE = 128
const FEATURES = FEATURE_RECONCILE | FEATURE_DEFLATE | FEATURE_STATE
// What takes long holds up what is urgent, so on a slow link less is said at once.
const SLOW_BATCH_BYTES = 8_192
const LEAST_DEFLATED_BYTES = 48
const DIFF_OVERHEAD = 48
const RECONCILE_OVERHEAD = 32
const MORE = 1
const NOTHING = new Uint8Array([0, 0])

/** What the session needs of a document and tells about it. */
export interface Document {
  readonly name: string
  readonly doc: Y.Doc
  readonly fingerprint: Uint8Array
  /** Apply what came from the link. */
  receive(update: Uint8Array): void
  receiveAwareness(payload: Uint8Array): void
  awarenessToSend(): Uint8Array | null
  /** Both sides have exchanged what the other lacked. */
  synced(): void
  /** All that was handed over until the call of `handedOver` is on the gateway's disk. */
  saved(): void
  handedOver(): void
  refused(code: number, reason: string): void
}

export interface SessionEvents {
  opened(): void
  /** The peer opened a document that is not open here; `open` it to have it. */
  offered(name: string): void
  /** The peer sends no more of a document, which left what was subscribed to; it is closed. */
  closed(name: string): void
  /** What a subscription selects was compared. The peer opens what differs; all else is equal. */
  compared(subscription: number, differing: Set<string>): void
  /** This device was let into a store. */
  gained(membership: Membership): void
  /** Somebody was shut out of the store, of whom nothing was known here. */
  revoked(): void
  /** The peer's store was in this state when this device had all of it that it wants. */
  stated(digest: Uint8Array, peer: Uint8Array): void
  /** `told`: the other side said so, on a sealed link if it was to be one. */
  ended(code: number, reason: string, retryMs: number, told: boolean): void
}

export interface Introduction {
  peer: Uint8Array
  about: Pairs
  token?: string
}

class Channel {
  answered = false
  peerAsked = false
  theirs: number | null = null
  parts: Uint8Array[] = []
  lastNumber = 0
  // The peer sends no more of it; it is closed here when all that was sent of it is decided.
  dropped = false
  // A change was not taken; what follows it may build on it, so nothing counts as saved.
  refused = false
  // It holds a value that fits no message.
  tooLarge = false
  constructor(readonly handle: number, readonly document: Document) {}
}

export class Session {
  private state: 'noise' | 'hello' | 'auth' | 'open' | 'closed' = 'hello'
  private out: Uint8Array[] = []
  // What goes out before everything is sealed: one record a message.
  private bare: Uint8Array[] = []
  private peer: Uint8Array = new Uint8Array()
  private digestHeard = false
  private channels = new Map<string, Channel>()
  // Handles of the peer; null: it speaks of a document that is of no interest here any more.
  private theirHandles = new Map<number, Channel | null>()
  private offers = new Map<string, { handle: number; stateVector: Uint8Array }>()
  private subscriptions = new Map<number, { collection: string; selector: string }>()
  private exchanges: Exchanges | null = null
  // Released before the peer answered OPEN: until it did, a handle may be bound there or not.
  private leaving = new Map<string, number>()
  private nextHandle = 1
  private sent = 0
  private acked = 0
  private numbers = new Map<number, Channel>()
  private limit = MESSAGE_BYTES
  private nonce = 0
  private deflates = false

  /** With a `calling` the link is sealed, and both sides show that they are of one store. On a `slow` one batches are small. */
  constructor(
    private introduction: Introduction, private events: SessionEvents, private calling: Calling | null = null, private slow = false,
  ) {
    if (calling) {
      this.state = 'noise'
      this.bare.push(encode(calling.channel.call()))
    } else this.greet()
  }

  /** Take one link message; never throws on what the peer does wrong. */
  receive(data: Uint8Array): void {
    if (this.state === 'closed') return
    try {
      if (this.state === 'noise') return this.shakeHands(decode(data))
      const batch = this.unsealed(data)
      if (batch) for (const message of this.inflated(decode(batch))) this.take(message)
    } catch (error) {
      if (error instanceof Malformed) return this.close(4400, error.message)
      if (error instanceof NoiseError || error instanceof Untrusted || error instanceof PackedError) return this.close(error.code, error.message)
      throw error
    }
  }

  /** Link messages to send now. */
  dataToSend(): Uint8Array[] {
    const { bare, out, calling } = this
    this.bare = []
    this.out = []
    const messages = batches(out, this.slow ? Math.min(this.limit, SLOW_BATCH_BYTES) : this.limit).map((batch) => this.deflated(batch))
    return [...bare, ...(calling ? messages.map((batch) => calling.channel.seal(batch)) : messages)]
  }

  /** Both sides compare: the peer opens of a subscription what differs and what changes. */
  get reconciles(): boolean {
    return this.exchanges !== null
  }

  isOpen(name: string): boolean {
    return this.channels.has(name)
  }

  /** Follow a document on this link, once it is `opened`. */
  open(document: Document): void {
    if (this.state !== 'open' || this.channels.has(document.name)) return
    const channel = new Channel(this.leaving.get(document.name) ?? this.nextHandle++, document)
    this.leaving.delete(document.name)
    this.channels.set(document.name, channel)
    this.ask(channel)
    const offer = this.offers.get(document.name)
    if (offer) this.opened(offer.handle, document.name, offer.stateVector)
  }

  /** Begin a subscription, or change the one of that number. */
  subscribe(subscription: number, collection: string, selector: string): void {
    this.subscriptions.set(subscription, { collection, selector })
    if (this.state === 'open') this.put({ type: 'SUBSCRIBE', subscription, collection, selector })
  }

  /** Compare what a subscription selects here, all of which is handed in, with what it selects there. */
  compare(subscription: number, documents: Iterable<Document>): void {
    if (this.state !== 'open' || !this.exchanges) return
    const catalogue = new Catalogue(Array.from(documents, ({ name, fingerprint }) => [name, fingerprint] as const))
    this.put({ type: 'RECONCILE', exchange: 2 * subscription, ranges: this.exchanges.begin(subscription, catalogue) })
  }

  unsubscribe(subscription: number): void {
    this.exchanges?.forget(subscription)
    if (this.subscriptions.delete(subscription) && this.state === 'open') this.put({ type: 'UNSUBSCRIBE', subscription })
  }

  release(name: string): void {
    const channel = this.channels.get(name)
    if (!channel) return
    this.channels.delete(name)
    if (!channel.peerAsked) this.leaving.set(name, channel.handle)
    else if (this.state === 'open') this.put({ type: 'CLOSE', handle: channel.handle })
  }

  /** Begin anew with a document: each side tells again what it has. */
  reopen(name: string): void {
    const channel = this.channels.get(name)
    if (!channel) return
    this.release(name)
    this.open(channel.document)
  }

  /** A local change of a document that is open. */
  update(name: string, update: Uint8Array): void {
    const channel = this.channels.get(name)
    // Before the peer answered OPEN it may still deny it; if it does not, this is part of our DIFF.
    if (this.state !== 'open' || !channel?.peerAsked) return
    if (channel.tooLarge) return this.reopen(name)
    for (const part of splitUpdate(update, this.limit - DIFF_OVERHEAD)) {
      if (!this.fits(channel, part)) return
      this.put({ type: 'UPDATE', handle: channel.handle, update: part })
      this.count(channel)
    }
    if (!channel.refused) channel.document.handedOver()
  }

  awareness(name: string, payload: Uint8Array): void {
    const channel = this.channels.get(name)
    if (this.state === 'open' && channel?.peerAsked) this.put({ type: 'AWARENESS', handle: channel.handle, payload })
  }

  ping(): void {
    if (this.state === 'open') this.put({ type: 'PING', nonce: ++this.nonce })
  }

  close(code: number, reason: string): void {
    if (this.state === 'closed') return
    if (this.state === 'noise') this.bare.push(encode({ type: 'GOODBYE', code, reason, retry_ms: 0 }))
    else this.put({ type: 'GOODBYE', code, reason, retry_ms: 0 })
    this.end(code, reason)
  }

  private greet(): void {
    this.state = 'hello'
    this.put({
      type: 'HELLO', lowest: VERSION, highest: VERSION, peer: this.introduction.peer, features: FEATURES,
      message_bytes: MESSAGE_BYTES, about: this.introduction.about,
    })
  }

  private shakeHands(records: Message[]): void {
    const [first] = records
    if (first?.type === 'GOODBYE') return this.take(first)
    const { channel } = this.calling!
    const answer = channel.step(records)
    if (answer) this.bare.push(encode(answer))
    if (channel.sealed) this.greet()
  }

  private deflated(batch: Uint8Array): Uint8Array {
    if (!this.deflates || this.state !== 'open' || batch.length < LEAST_DEFLATED_BYTES) return batch
    const record = encode({ type: 'DEFLATED', batch: pack(batch) })
    return record.length < batch.length ? record : batch
  }

  private inflated(messages: Message[]): Message[] {
    const [first] = messages
    if (first?.type !== 'DEFLATED' || messages.length > 1 || this.state !== 'open') return messages
    return decode(unpack(first.batch, MESSAGE_BYTES))
  }

  /** The batch of a link message; null when nothing can be said any more. */
  private unsealed(message: Uint8Array): Uint8Array | null {
    if (!this.calling) return message
    try {
      return this.calling.channel.open(message)
    } catch (error) {
      if (!(error instanceof NoiseError)) throw error
      this.out = []
      this.end(error.code, error.message)
      return null
    }
  }

  private end(code: number, reason: string, retryMs = 0, told = false): void {
    this.state = 'closed'
    this.events.ended(code, reason, retryMs, told)
  }

  private put(message: Message): void {
    this.out.push(encode(message))
  }

  private take(message: Message): void {
    if (this.state === 'closed') return
    if (message.type === 'GOODBYE') {
      // In the open, before a handshake, anybody can say it.
      return this.end(message.code, message.reason, message.retry_ms, this.state !== 'noise')
    }
    if (this.state === 'hello') {
      if (message.type !== 'HELLO') throw new Malformed(`${message.type} does not belong here`)
      return this.greeted(message)
    }
    if (this.state === 'auth') return this.admitted(message)
    switch (message.type) {
      case 'OPEN': return this.opened(message.handle, message.document, message.state_vector)
      case 'DIFF': return this.diff(message)
      case 'UPDATE': return this.changed(this.channel(message.handle), message.update)
      case 'AWARENESS': return this.channel(message.handle)?.document.receiveAwareness(message.payload)
      case 'ACK': return this.ack(message.number)
      case 'REFUSE': return this.refuse(message.number, message.code, message.reason)
      case 'DENY': return this.denied(message.document, message.code, message.reason)
      case 'STALE': return this.ask(this.channel(message.handle))
      case 'PING': return this.put({ type: 'PONG', nonce: message.nonce })
      case 'CLOSE': return this.closed(message.handle)
      case 'RECONCILE': return this.compared(message.exchange, message.ranges)
      case 'REVOKED': return this.revoked(message.entry)
      case 'DIGEST': return this.compareRevocations(message.revocations)
      case 'STATE': return this.events.stated(message.digest.slice(), this.peer)
      case 'HELLO': case 'AUTH': case 'GRANT': case 'NOISE': case 'MEMBER': case 'TICKET': case 'DEFLATED':
        throw new Malformed(`${message.type} does not belong here`)
    }
  }

  private admitted(message: Message): void {
    const { calling } = this
    if (message.type === 'GRANT') return this.granted()
    if (calling && message.type === 'TICKET') return this.events.gained(calling.take(message))
    if (calling && message.type === 'MEMBER') return calling.meet(message, this.peer)
    throw new Malformed(`${message.type} does not belong here`)
  }

  private granted(): void {
    const { calling } = this
    if (calling && !calling.met) throw new Untrusted(UNAUTHORISED, 'what answered did not show who it is')
    this.state = 'open'
    if (calling) this.put({ type: 'DIGEST', revocations: calling.membership!.revocations.digest() })
    for (const [subscription, wanted] of this.subscriptions) this.put({ type: 'SUBSCRIBE', subscription, ...wanted })
    this.events.opened()
  }

  /** Kept, and passed on with the next DIGEST that differs. */
  private revoked(entry: Uint8Array): void {
    if (!this.calling?.membership!.revocations.add(entry)) return
    this.events.revoked()
    this.calling.check()
  }

  private compareRevocations(theirs: Uint8Array): void {
    const { calling, digestHeard } = this
    this.digestHeard = true
    if (!calling || digestHeard || equal(theirs, calling.membership!.revocations.digest())) return
    for (const entry of calling.membership!.revocations.entries()) this.put({ type: 'REVOKED', entry })
  }

  private greeted(hello: Extract<Message, { type: 'HELLO' }>): void {
    if (Math.min(hello.highest, VERSION) < Math.max(hello.lowest, VERSION)) {
      return this.close(4426, `this app speaks version ${VERSION}`)
    }
    this.limit = Math.min(hello.message_bytes, MESSAGE_BYTES)
    const payloadBytes = this.limit - RECONCILE_OVERHEAD
    if (hello.features & FEATURE_RECONCILE && payloadBytes >= MIN_PAYLOAD_BYTES) this.exchanges = new Exchanges(payloadBytes)
    this.deflates = this.slow && (hello.features & FEATURE_DEFLATE) !== 0
    this.state = 'auth'
    this.peer = hello.peer.slice()
    if (this.calling) return this.put(this.calling.auth())
    const token = this.introduction.token
    this.put(token === undefined
      ? { type: 'AUTH', method: 0, credential: new Uint8Array() }
      : { type: 'AUTH', method: 2, credential: new TextEncoder().encode(token) })
  }

  private ask(channel: Channel | null): void {
    if (!channel) return
    channel.answered = false
    this.put({
      type: 'OPEN', handle: channel.handle, document: channel.document.name,
      state_vector: Y.encodeStateVector(channel.document.doc),
    })
    this.showPresence(channel)
  }

  private showPresence({ document }: Channel): void {
    const payload = document.awarenessToSend()
    if (payload) this.awareness(document.name, payload)
  }

  private opened(handle: number, name: string, stateVector: Uint8Array): void {
    // It left what was subscribed to, and is back before that was complete.
    if (this.channels.get(name)?.dropped) this.reopen(name)
    const channel = this.channels.get(name)
    const left = this.leaving.get(name)
    if (left !== undefined) {
      this.leaving.delete(name)
      this.put({ type: 'CLOSE', handle: left })
    }
    if (!channel) {
      this.theirHandles.set(handle, null)
      this.offers.set(name, { handle, stateVector })
      return this.events.offered(name)
    }
    this.offers.delete(name)
    channel.theirs = handle
    this.theirHandles.set(handle, channel)
    let update: Uint8Array
    try {
      update = Y.encodeStateAsUpdate(channel.document.doc, stateVector)
    } catch {
      throw new Malformed('a state vector cannot be read')
    }
    const split = splitUpdate(update, this.limit - DIFF_OVERHEAD)
    // All that the peer lacks is on its way again.
    channel.refused = channel.tooLarge = false
    // What follows a value that is too large builds on it.
    const most = split.findIndex((part) => !this.fits(channel, part))
    const parts = most < 0 ? split : [...split.slice(0, most), NOTHING]
    parts.forEach((part, index) => {
      const last = index === parts.length - 1
      this.put({
        type: 'DIFF', handle: channel.handle, flags: last ? 0 : MORE, update: part,
        fingerprint: last ? channel.document.fingerprint : new Uint8Array(),
      })
      this.count(channel)
    })
    const isFirst = !channel.peerAsked
    channel.peerAsked = true
    if (isFirst) this.showPresence(channel)
    if (!channel.refused) channel.document.handedOver()
    this.judge(channel)
  }

  private closed(handle: number): void {
    const channel = this.theirHandles.get(handle)
    this.theirHandles.delete(handle)
    for (const [name, offer] of this.offers) if (offer.handle === handle) this.offers.delete(name)
    if (channel?.theirs !== handle) return
    channel.dropped = true
    this.finish(channel)
  }

  private finish(channel: Channel): void {
    const { name } = channel.document
    if (!channel.dropped || channel.lastNumber > this.acked || this.channels.get(name) !== channel) return
    this.release(name)
    this.events.closed(name)
  }

  private compared(exchange: number, ranges: Uint8Array): void {
    // An even number is about a subscription of the peer's; it can have none here.
    if (exchange % 2 === 0) return
    const subscription = (exchange - 1) / 2
    const turn = this.exchanges?.take(subscription, ranges)
    if (turn?.reply) this.put({ type: 'RECONCILE', exchange: 2 * subscription, ranges: turn.reply })
    if (turn?.finished) this.events.compared(subscription, turn.differing)
  }

  private diff(message: Extract<Message, { type: 'DIFF' }>): void {
    const channel = this.channel(message.handle)
    if (!channel) return
    channel.parts.push(message.update)
    if (message.flags & MORE) return
    const parts = channel.parts
    channel.parts = []
    channel.answered = true
    this.apply(channel, parts)
    this.judge(channel)
  }

  private changed(channel: Channel | null, update: Uint8Array): void {
    if (!channel) return
    this.apply(channel, [update])
    const { pendingStructs, pendingDs } = channel.document.doc.store
    // Something it builds on is missing: ask, unless an answer is on its way already.
    if ((pendingStructs || pendingDs) && channel.answered) {
      this.ask(channel)
    }
  }

  private apply(channel: Channel, updates: Uint8Array[]): void {
    // Observers of the app run in here; what they throw is no fault of the link's.
    guarded(() => channel.document.receive(updates.length === 1 ? updates[0] : Y.mergeUpdates(updates)))
  }

  private judge(channel: Channel): void {
    if (channel.answered && channel.peerAsked) channel.document.synced()
  }

  /** Whether a part can be sent; a single value above the limit cannot be cut. */
  private fits(channel: Channel, part: Uint8Array): boolean {
    if (part.length <= this.limit - DIFF_OVERHEAD) return true
    channel.refused = channel.tooLarge = true
    channel.document.refused(1009, `a single value above ${this.limit - DIFF_OVERHEAD} bytes`)
    return false
  }

  private count(channel: Channel): void {
    this.numbers.set(++this.sent, channel)
    channel.lastNumber = this.sent
  }

  private ack(number: number): void {
    if (number > this.sent) throw new Malformed('an ack for what was never sent')
    const touched = new Set<Channel>()
    while (this.acked < number) {
      const channel = this.numbers.get(++this.acked)!
      this.numbers.delete(this.acked)
      touched.add(channel)
    }
    for (const channel of touched) {
      if (channel.lastNumber > this.acked || this.channels.get(channel.document.name) !== channel) continue
      if (channel.peerAsked && !channel.refused) channel.document.saved()
      this.finish(channel)
    }
  }

  private refuse(number: number, code: number, reason: string): void {
    const channel = this.numbers.get(number)
    if (!channel) return
    channel.refused = true
    channel.document.refused(code, reason)
  }

  private denied(name: string, code: number, reason: string): void {
    const channel = this.channels.get(name)
    // Nothing was bound, so nothing can be said of it.
    this.channels.delete(name)
    this.leaving.delete(name)
    channel?.document.refused(code, reason)
  }

  private channel(handle: number): Channel | null {
    const channel = this.theirHandles.get(handle)
    if (channel === undefined) throw new Malformed('a handle that is not bound')
    return channel
  }
}
