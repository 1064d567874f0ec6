// A session in the open: what goes out about a document, and when.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { source } from './source.mjs'

const { batches, decode, encode, pack, Session, Y } = await source('session', 'browser', 'packing')
const hello = { type: 'HELLO', lowest: 1, highest: 1, peer: new Uint8Array(16), features: 1, message_bytes: 262_144, about: [] }
const NOTHING = new Uint8Array([0])

class Document {
  doc = new Y.Doc()
  fingerprint = new Uint8Array(16)
  refusals = []
  constructor(name) {
    this.name = name
    this.doc.getMap('order').set('dish', 'soup')
  }
  awarenessToSend() {
    return new Uint8Array([0])
  }
  refused(code) {
    this.refusals.push(code)
  }
  receive() {}
  synced() {}
  saved() {}
  handedOver() {}
}

/** An open link; `say` gives the answers to what the gateway said. */
function link() {
  const nothing = () => {}
  const events = { opened: nothing, offered: nothing, closed: nothing, compared: nothing, gained: nothing, revoked: nothing, ended: nothing }
  const session = new Session({ peer: new Uint8Array(16), about: [] }, events)
  const said = () => session.dataToSend().flatMap((message) => decode(message)).map(({ type, handle }) => (handle ? `${type} ${handle}` : type))
  const say = (...records) => {
    session.receive(batches(records.map(encode), 262_144)[0])
    return said()
  }
  say(hello, { type: 'GRANT', grants: [['*', 3]] })
  return { session, say, said }
}

const answer = (document, handle = 7) => ({ type: 'OPEN', handle, document: document.name, state_vector: NOTHING })
const deny = (document) => ({ type: 'DENY', document: document.name, code: 4403, reason: 'no right' })

test('nothing but OPEN goes out before it is answered', () => {
  const { session, say, said } = link()
  const document = new Document('orders/1')
  session.open(document)
  session.update('orders/1', Y.encodeStateAsUpdate(document.doc))
  session.awareness('orders/1', new Uint8Array([0]))
  assert.deepEqual(said(), ['OPEN 1'])
  assert.deepEqual(say(answer(document)), ['DIFF 1', 'AWARENESS 1'])
  session.update('orders/1', Y.encodeStateAsUpdate(document.doc))
  session.awareness('orders/1', new Uint8Array([0]))
  assert.deepEqual(said(), ['UPDATE 1', 'AWARENESS 1'])
  session.release('orders/1')
  assert.deepEqual(said(), ['CLOSE 1'])
})

test('a document that is denied is spoken of no more', () => {
  const { session, say, said } = link()
  const document = new Document('menu/1')
  session.open(document)
  session.update('menu/1', Y.encodeStateAsUpdate(document.doc))
  said()
  assert.deepEqual(say(deny(document)), [])
  assert.deepEqual(document.refusals, [4403])
  session.update('menu/1', Y.encodeStateAsUpdate(document.doc))
  session.release('menu/1')
  assert.deepEqual(said(), [])
})

test('a document that is released before the answer is closed after it, or never', () => {
  const { session, say, said } = link()
  const [one, two] = [new Document('orders/1'), new Document('menu/1')]
  for (const document of [one, two]) {
    session.open(document)
    session.release(document.name)
  }
  assert.deepEqual(said(), ['OPEN 1', 'OPEN 2'])
  assert.deepEqual(say(answer(one), deny(two)), ['CLOSE 1'])
  session.open(one)
  assert.deepEqual(said(), ['OPEN 3', 'DIFF 3', 'AWARENESS 3'], 'a new handle')
})

test('a document that is back before the answer keeps its handle', () => {
  const { session, say, said } = link()
  const document = new Document('orders/1')
  session.open(document)
  session.release('orders/1')
  session.open(document)
  assert.deepEqual(said(), ['OPEN 1', 'OPEN 1'])
  assert.deepEqual(say(answer(document)), ['DIFF 1', 'AWARENESS 1'])
})

/** A link that is slow, or not, to a gateway with these features; `open`: it is let in. */
function deflating({ slow = true, features = 17, open = true } = {}) {
  const ends = []
  const nothing = () => {}
  const events = { opened: nothing, offered: nothing, closed: nothing, compared: nothing, gained: nothing, revoked: nothing, stated: nothing, ended: (code) => ends.push(code) }
  const session = new Session({ peer: new Uint8Array(16), about: [] }, events, null, slow)
  session.receive(encode({ ...hello, features }))
  if (open) session.receive(encode({ type: 'GRANT', grants: [['*', 3]] }))
  session.dataToSend()
  return { session, ends }
}

const packed = (...records) => ({ type: 'DEFLATED', batch: pack(batches(records, 262_144)[0]) })
const ping = { type: 'PING', nonce: 7 }

test('what is long is deflated on a slow link to who reads it', () => {
  const long = new Document('orders/' + 'x'.repeat(100))
  for (const [options, document, types] of [
    [{}, long, ['DEFLATED']], [{}, new Document('orders/1'), ['OPEN']], [{ slow: false }, long, ['OPEN']], [{ features: 1 }, long, ['OPEN']],
  ]) {
    const { session } = deflating(options)
    session.open(document)
    assert.deepEqual(decode(session.dataToSend()[0]).map(({ type }) => type), types)
  }
})

test('what is deflated is read, alone, once open, and not twice', () => {
  const { session, ends } = deflating({ slow: false, features: 1 })
  session.receive(encode(packed(encode(ping))))
  assert.deepEqual(decode(session.dataToSend()[0]), [{ type: 'PONG', nonce: 7 }])
  assert.deepEqual(ends, [])
  for (const [records, options, code] of [
    [[packed(encode(ping)), ping], {}, 4400],
    [[ping, packed(encode(ping))], {}, 4400],
    [[packed(encode(packed(encode(ping))))], {}, 4400],
    [[packed(encode(ping))], { open: false }, 4400],
    [[{ type: 'DEFLATED', batch: new Uint8Array([7]) }], {}, 4400],
    [[{ type: 'DEFLATED', batch: pack(new Uint8Array(262_145)) }], {}, 1009],
  ]) {
    const link = deflating(options)
    link.session.receive(batches(records.map(encode), 262_144)[0])
    assert.deepEqual(link.ends, [code])
  }
})
