// A gateway of a store in a few lines: sealed links, documents in memory, durable at once. It notes what it is told, and by which link.
import { source } from './source.mjs'

const { batches, decode, encode, Handshake, KeyPair, pack, prologueOf, unpack, Y } = await source('browser', 'noise', 'packing')
const NOTHING = new Uint8Array([0])
const LIMIT = 262_144
const DEFLATE = 16

export class Mesh {
  docs = new Map()
  links = new Set()
  /** Of every link, in order: its kind, and the types of all records that came. */
  heard = []
  features = 1 | DEFLATE
  state = new Uint8Array([1, 2, 3, 4])
  /** Of exchanges, which nobody answers. */
  ranges = []
  isDeaf = false
  constructor(store, { peer, psk } = {}) {
    Object.assign(this, { store, peer, psk })
  }
  doc(name) {
    if (!this.docs.has(name)) this.docs.set(name, new Y.Doc())
    return this.docs.get(name)
  }
  /** A new link; `send` takes its messages. */
  accept(kind, send) {
    const link = new MeshLink(this, kind, send)
    this.links.add(link)
    return link
  }
  /** Something changed here. */
  change(name, key, value) {
    const doc = this.doc(name)
    const before = Y.encodeStateVector(doc)
    doc.getMap('order').set(key, value)
    this.pass(name, Y.encodeStateAsUpdate(doc, before), null)
  }
  pass(name, update, from) {
    for (const link of this.links) if (link !== from) link.changed(name, update)
  }
  types(kind) {
    return this.heard.filter((one) => one.kind === kind).flatMap(({ types }) => types)
  }
  read(name) {
    return this.doc(name).getMap('order').toJSON()
  }
}

class MeshLink {
  transport = null
  names = new Map()
  handles = new Map()
  number = 0
  constructor(mesh, kind, send) {
    Object.assign(this, { mesh, kind, sendMessage: send, types: [], updates: [] })
    mesh.heard.push(this)
  }
  receive(message) {
    if (this.transport) return this.batch(decode(this.transport.open(message)))
    const [record] = decode(message)
    if (record.type !== 'NOISE') return this.say({ type: 'GOODBYE', code: 4401, reason: 'sealed only', retry_ms: 0 })
    this.types.push(`NOISE ${record.pattern}`)
    const { pair } = this.mesh.store
    const psk = record.pattern === 1 || record.pattern === 2 ? this.mesh.psk : undefined
    this.handshake ??= new Handshake(record.pattern, false, { static: pair, ephemeral: new KeyPair(new Uint8Array(32).fill(8)), psk }, prologueOf(record.pattern))
    try {
      this.handshake.read(record.message)
    } catch (error) {
      return this.say({ type: 'GOODBYE', code: error.code, reason: 'not authenticated', retry_ms: 0 })
    }
    if (!this.handshake.done) this.say({ type: 'NOISE', pattern: record.pattern, message: this.handshake.write() })
    if (!this.handshake.done) return
    this.transport = this.handshake.split()
    this.say({ type: 'HELLO', lowest: 1, highest: 1, peer: this.mesh.peer, features: this.mesh.features, message_bytes: LIMIT, about: [] })
  }
  batch(records) {
    if (records[0].type === 'DEFLATED') {
      this.types.push('DEFLATED')
      records = decode(unpack(records[0].batch, LIMIT))
    }
    const answers = records.flatMap((record) => this.take(record))
    if (answers.length) this.say(...answers)
  }
  take(record) {
    const { mesh } = this
    this.types.push(record.type)
    if (mesh.isDeaf) return []
    switch (record.type) {
      case 'RECONCILE':
        mesh.ranges.push(record.ranges.slice())
        return []
      case 'HELLO':
        this.device = record.peer.slice()
        return []
      case 'AUTH': {
        const { store } = mesh
        const ticket = { type: 'TICKET', credential: store.credentialOf(this.handshake.remoteStatic, this.device), root: store.root }
        const member = { type: 'MEMBER', method: 4, credential: store.certificate }
        return [...(record.method === 3 ? [ticket] : []), member, { type: 'GRANT', grants: [['*', 3]] }]
      }
      case 'OPEN': {
        const doc = mesh.doc(record.document)
        this.names.set(record.handle, record.document)
        const handle = this.handles.get(record.document) ?? this.handles.size + 1
        const own = this.handles.has(record.document) ? [] : [{ type: 'OPEN', handle, document: record.document, state_vector: Y.encodeStateVector(doc) }]
        this.handles.set(record.document, handle)
        return [...own, { type: 'DIFF', handle, flags: 0, fingerprint: new Uint8Array(), update: Y.encodeStateAsUpdate(doc, record.state_vector) }]
      }
      case 'DIFF': case 'UPDATE': {
        const name = this.names.get(record.handle)
        if (record.update.length > 2) this.updates.push(Y.decodeUpdate(record.update).structs.map(({ id, length }) => [id.client, id.clock, length]))
        Y.applyUpdate(mesh.doc(name), record.update)
        mesh.pass(name, record.update, this)
        return [{ type: 'ACK', number: ++this.number }]
      }
      case 'CLOSE': {
        const name = this.names.get(record.handle)
        const handle = this.handles.get(name)
        this.names.delete(record.handle)
        this.handles.delete(name)
        return handle === undefined ? [] : [{ type: 'CLOSE', handle }]
      }
      case 'PING': return [{ type: 'PONG', nonce: record.nonce }]
      case 'GOODBYE': this.mesh.links.delete(this)
    }
    return []
  }
  changed(name, update) {
    const handle = this.handles.get(name)
    if (handle !== undefined) this.say({ type: 'UPDATE', handle, update })
  }
  say(...records) {
    for (const batch of batches(records.map(encode), LIMIT)) this.sendMessage(this.transport ? this.transport.seal(batch) : batch)
  }
  sayDeflated(...records) {
    this.sendMessage(this.transport.seal(encode({ type: 'DEFLATED', batch: pack(batches(records.map(encode), LIMIT)[0]) })))
  }
}

/** WebSockets to a gateway over a network that may die. */
export function network(mesh) {
  const net = {
    isUp: true,
    sockets: [],
    // Nothing arrives any more, and nobody says so.
    die() { net.isUp = false },
    Socket: class {
      readyState = 0
      constructor(url) {
        this.url = url
        net.sockets.push(this)
        this.isAlive = net.isUp
        if (!net.isUp) return
        setTimeout(() => {
          if (this.readyState !== 0) return
          this.readyState = 1
          this.link = mesh.accept('network', (data) => this.arrive(data))
          this.onopen?.()
        }, 5)
      }
      arrive(data) {
        if (net.isUp) setTimeout(() => { if (net.isUp) this.onmessage?.({ data: data.slice().buffer }) }, 1)
      }
      send(data) {
        const copy = data.slice()
        if (net.isUp) setTimeout(() => { if (net.isUp) this.link.receive(copy) }, 1)
      }
      close() {
        if (this.readyState === 3) return
        this.readyState = 3
        setTimeout(() => this.onclose?.({ code: 1005, reason: '' }), 1)
      }
    },
  }
  return net
}

/** The same gateway by Bluetooth. */
export function byBluetooth(mesh, gateway) {
  const links = new Map()
  gateway.peer = mesh.peer
  gateway.message = (connection, message) => {
    if (!links.has(connection)) links.set(connection, mesh.accept('bluetooth', (data) => connection.send(data)))
    links.get(connection).receive(message)
  }
  return gateway
}
