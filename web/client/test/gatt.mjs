// A gateway as a phone's Bluetooth shows it: docs/bluetooth.md in a few lines, and whatever may go wrong.
import { source } from './source.mjs'

const { framed, INFO, MessageStream, RX, Segments, SERVICE, TX } = await source('opening', 'segments', 'stream')
export { SERVICE }
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const gone = () => Promise.reject(new Error('GATT server is disconnected'))

/** The adapter of one phone, and the gateway behind it. `message(link, data)` is called with each message that comes whole. */
export class Gateway {
  mtu = 247
  place = 1
  psm = 0
  peer = new Uint8Array(16).fill(2)
  refuses = 0
  deafOpeners = 0
  reachable = true
  /** Called before each verb with its name and number; what it throws, the verb rejects with. */
  before = () => {}
  /** What becomes of a notification: as many of it, one after the other. */
  notifies = (value) => [value]
  message = () => {}
  connections = []
  verbs = []

  /** The link of now. */
  get link() {
    return this.connections.at(-1)
  }
  get open() {
    return this.connections.filter(({ over }) => !over)
  }

  async connect(service, search) {
    this.search = search
    this.step('connect')
    if (service !== SERVICE || !this.reachable) throw new Error('nobody is near')
    const connection = new Connection(this)
    this.connections.push(connection)
    return connection
  }
  step(verb) {
    this.verbs.push(verb)
    this.before(verb, this.verbs.length)
  }
  // The radio is gone, or somebody pulled the plug.
  vanish() {
    for (const connection of this.open) connection.drop()
  }
}

class Connection {
  over = false
  segments = null
  channel = null
  writes = []
  openers = 0
  writing = 0
  listeners = []
  constructor(gateway) {
    this.gateway = gateway
    if (gateway.knowsMtu ?? true) this.notificationBytes = Math.min(gateway.mtu - 3, 512)
    if (gateway.psm) this.openChannel = (psm) => this.openTo(psm)
  }
  get size() {
    return Math.min(this.gateway.mtu - 3, 510)
  }
  async read(characteristic) {
    await this.turn('read')
    if (characteristic !== INFO) throw new Error('there is no such characteristic')
    const { peer, psm, place } = this.gateway
    return Uint8Array.of(1, 1, ...peer, psm & 0xff, psm >> 8, 7, place)
  }
  async subscribe(characteristic, listener) {
    await this.turn('subscribe')
    if (characteristic !== TX[this.gateway.place - 1]) throw new Error('that is another phone’s')
    this.notified = listener
  }
  async write(characteristic, bytes, withResponse) {
    if (++this.writing > 1) throw new Error('GATT operation already in progress')
    if (characteristic !== RX || bytes.length > (withResponse ? 512 : this.size)) throw new Error('a write that is not taken')
    const value = bytes.slice()
    try {
      await this.turn(withResponse ? 'opener' : 'write')
      this.writes.push(value)
      // What is notified now arrives before the write is answered.
      this.take(value)
      await Promise.resolve()
    } finally {
      this.writing--
    }
  }
  onDisconnect(listener) {
    this.listeners.push(listener)
  }
  disconnect() {
    this.over = true
  }
  drop() {
    this.over = true
    for (const listener of this.listeners) listener()
  }
  async turn(verb) {
    if (this.over) return gone()
    await Promise.resolve()
    this.gateway.step(verb)
    if (this.over) return gone()
  }
  notify(value) {
    for (const one of this.gateway.notifies(value)) if (!this.over) this.notified(one.slice())
  }
  take(value) {
    if (value.length === 8 && value[0] === 0x80) return this.open(value)
    const message = this.segments.receive(value, Date.now())
    if (this.segments.movedIn && this.channel && !this.segments.movedOut) this.rest = this.segments.move()
    if (message) this.gateway.message(this, message)
    this.pump()
  }
  open(value) {
    const { gateway } = this
    this.nonce = value.slice(2, 6)
    this.takes = value[6] | (value[7] << 8)
    if (++this.openers <= gateway.deafOpeners) return
    if (gateway.refuses) return this.notify(Uint8Array.of(0, 1, ...this.nonce, gateway.refuses & 0xff, gateway.refuses >> 8))
    this.segments ??= new Segments(Math.min(this.takes || 20, 512))
    this.notify(Uint8Array.of(0x80, 1, ...this.nonce, this.size & 0xff, this.size >> 8))
  }
  end(code) {
    this.notify(Uint8Array.of(0, 1, ...this.nonce, code & 0xff, code >> 8))
  }
  send(message) {
    if (this.segments.movedOut) this.channel.deliver(framed(message))
    else this.segments.send(message)
    this.pump()
  }
  pump() {
    for (let segment; (segment = this.segments.next(Date.now())); ) this.notify(segment)
    for (const message of this.rest?.splice(0) ?? []) this.channel.deliver(framed(message))
  }
  async openTo(psm) {
    await this.turn('channel')
    if (psm !== this.gateway.psm) throw new Error('nobody listens')
    return (this.channel = new Channel(this))
  }
}

class Channel {
  closed = false
  stream = new MessageStream()
  written = []
  constructor(connection) {
    this.connection = connection
  }
  onData(listener) {
    this.listener = listener
  }
  onClose(listener) {
    this.closer = listener
  }
  async write(bytes) {
    await this.connection.turn('stream')
    this.written.push(bytes)
    if (this.written.length === 1) return
    this.stream.push(bytes, Date.now())
    for (let message; (message = this.stream.next()); ) this.connection.gateway.message(this.connection, message)
  }
  // In pieces of any size, as a phone shows it.
  deliver(bytes) {
    for (let place = 0; place < bytes.length; place += 333) this.listener(bytes.slice(place, place + 333))
  }
  close() {
    this.closed = true
  }
}

export { hex }
