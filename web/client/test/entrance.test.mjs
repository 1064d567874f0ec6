// A sealed session with a gateway made of keys of this test: whom this device goes on with, and whom not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batches, decode, encode } from '../dist/index.js'
import { source } from './source.mjs'
import { gatewayPeer, keys, made, octets, peer } from './stores.mjs'

const { Calling, Handshake, KeyPair, Keys, Pattern, prologueOf, Revocations, Session, storeId } =
  await source('certificate', 'entrance', 'noise', 'revocations', 'session')

const ours = made(10)
const theirs = made(20)
const membership = () => ({ root: ours.root, credential: ours.credential, revocations: new Revocations(ours.root) })
const member = ({ certificate }) => ({ type: 'MEMBER', method: 4, credential: certificate })
const grant = { type: 'GRANT', grants: [['*', 3]] }
const hello = { type: 'HELLO', lowest: 1, highest: 1, peer: gatewayPeer, features: 1, message_bytes: 262_144, about: [] }

/** Both ends of a link; `say` is what the gateway says, and `heard` what it heard. */
class Link {
  heard = []
  events = []
  constructor(gateway, { caller = {}, pattern = Pattern.XX, psk } = {}) {
    this.calling = new Calling({ peer, keys, membership: membership(), name: 'Till 3', ...caller }, new KeyPair(octets(7, 32)))
    const told = (name) => (...values) => this.events.push([name, ...values])
    const events = Object.fromEntries(['opened', 'offered', 'closed', 'compared', 'gained', 'revoked', 'ended'].map((name) => [name, told(name)]))
    this.session = new Session({ peer, about: [] }, events, this.calling)
    this.responder = new Handshake(pattern, false, { static: gateway.pair, ephemeral: new KeyPair(octets(8, 32)), psk }, prologueOf(pattern))
    this.pattern = pattern
  }
  shakeHands() {
    for (;;) {
      const messages = this.session.dataToSend()
      for (const message of messages) {
        if (this.responder.done) this.transport ??= this.responder.split()
        if (this.transport) this.heard.push(...decode(this.transport.open(message)))
        else this.responder.read(decode(message)[0].message)
      }
      if (this.transport) return this
      if (this.responder.isWriting) this.session.receive(encode({ type: 'NOISE', pattern: this.pattern, message: this.responder.write() }))
    }
  }
  say(...records) {
    this.session.receive(this.transport.seal(batches(records.map(encode), 262_144)[0]))
    for (const message of this.session.dataToSend()) this.heard.push(...decode(this.transport.open(message)))
    return this
  }
  get types() {
    return this.heard.map(({ type }) => type)
  }
  get end() {
    const found = this.events.find(([name]) => name === 'ended')
    return found && { code: found[1], told: found[4] }
  }
  get isOpen() {
    return this.events.some(([name]) => name === 'opened') && !this.end
  }
}

const pairing = { psk: octets(9, 32) }
const asked = (gateway, options) => new Link(gateway, options).shakeHands().say(hello)

test('a member is let in, by XX and by IK', () => {
  for (const options of [{}, { caller: { gateway: ours.pair.public }, pattern: Pattern.IK }]) {
    const link = asked(ours, options).say(member(ours), grant)
    assert.ok(link.isOpen)
    assert.deepEqual(link.types, ['HELLO', 'AUTH', 'DIGEST'])
    assert.deepEqual([link.heard[1].method, link.heard[1].credential], [1, ours.credential])
  }
})

test('a device is paired by a typed code and by a QR code', () => {
  const scanned = { ...pairing, static: ours.pair.public, store: storeId(ours.root) }
  for (const [given, pattern] of [[pairing, Pattern.XXpsk0], [scanned, Pattern.IKpsk2]]) {
    const link = asked(ours, { caller: { membership: null, pairing: given }, pattern, psk: pairing.psk })
    assert.equal(link.heard[1].method, 3)
    link.say({ type: 'TICKET', credential: ours.credential, root: ours.root }, member(ours), grant)
    assert.ok(link.isOpen)
    assert.deepEqual(link.events[0][1].credential, ours.credential)
  }
})

test('a ticket that is not for this device, or not of the store in the QR code, makes nobody a member', () => {
  const scanned = { ...pairing, static: ours.pair.public, store: storeId(theirs.root) }
  const ticket = { type: 'TICKET', credential: ours.credential, root: ours.root }
  const wrong = [
    [ours, { pairing: scanned }, Pattern.IKpsk2, ticket, 4421],
    [ours, { pairing, keys: new Keys(octets(13, 32), octets(4, 32)) }, Pattern.XXpsk0, ticket, 4401],
    [ours, { pairing, peer: octets(14, 16) }, Pattern.XXpsk0, ticket, 4401],
    [theirs, { pairing }, Pattern.XXpsk0, ticket, 4401],
    [ours, { pairing }, Pattern.XXpsk0, { ...ticket, root: theirs.root }, 4421],
  ]
  for (const [gateway, caller, pattern, record, code] of wrong) {
    const link = asked(gateway, { caller: { membership: null, ...caller }, pattern, psk: pairing.psk }).say(record, member(ours), grant)
    assert.deepEqual([link.end?.code, link.events.length], [code, 1])
  }
  assert.equal(asked(ours).say(ticket).end.code, 4400, 'nobody asked for it')
})

test('whoever does not show that it is a gateway of the store is left', () => {
  const cases = [
    ['says nothing of itself', ours, [grant], 4401],
    ['is of another store', theirs, [member(theirs), grant], 4421],
    ['shows what another gateway showed', theirs, [member(ours), grant], 4401],
    ['is a device, not a gateway', ours, [{ ...member(ours), method: 1, credential: ours.credential }, grant], 4401],
    ['shows nothing that can be read', ours, [{ ...member(ours), credential: octets(1, 9) }, grant], 4400],
  ]
  for (const [name, gateway, records, code] of cases) {
    const link = asked(gateway).say(...records)
    assert.deepEqual(link.end, { code, told: false }, name)
    assert.deepEqual(link.heard.at(-1).type, 'GOODBYE')
  }
  const otherId = new Link(ours).shakeHands().say({ ...hello, peer: octets(9, 16) }).say(member(ours), grant)
  assert.equal(otherId.end.code, 4401)
})

test('a gateway that was shut out is left, whenever that is heard', () => {
  const known = membership()
  known.revocations.add(ours.revocation)
  assert.equal(asked(ours, { caller: { membership: known } }).say(member(ours), grant).end.code, 4410)
  const link = asked(ours).say(member(ours), grant).say({ type: 'REVOKED', entry: ours.revocation })
  assert.deepEqual(link.events.map(([name]) => name), ['opened', 'revoked', 'ended'])
  assert.equal(link.end.code, 4410)
})

test('revocations are told to who lacks them, once; what is no revocation ends the link', () => {
  const known = membership()
  known.revocations.add(ours.other)
  const link = asked(ours, { caller: { membership: known } }).say(member(ours), grant)
  const digest = (revocations) => ({ type: 'DIGEST', revocations })
  link.say(digest(octets(0, 16))).say(digest(octets(0, 16)))
  assert.deepEqual(link.types.filter((type) => type === 'REVOKED').length, 1)
  assert.deepEqual(link.heard.at(-1).entry, ours.other)
  link.say({ type: 'REVOKED', entry: ours.other })
  assert.deepEqual(link.events.map(([name]) => name), ['opened'], 'it was known')
  assert.equal(link.say({ type: 'REVOKED', entry: theirs.other }).end.code, 4421)
  const agreed = asked(ours, { caller: { membership: known } }).say(member(ours), grant).say(digest(known.revocations.digest()))
  assert.ok(!agreed.types.includes('REVOKED'))
})

test('what is said in the open counts for nothing', () => {
  for (const record of [hello, { type: 'GOODBYE', code: 4410, reason: '', retry_ms: 0 }]) {
    const link = new Link(ours)
    link.session.receive(encode(record))
    assert.equal(link.end.told, false)
    assert.ok(!link.isOpen)
    const said = link.session.dataToSend().flatMap(decode).map(({ type }) => type)
    assert.ok(!said.includes('HELLO') && !said.includes('AUTH'))
  }
  const sealed = asked(ours).say({ type: 'GOODBYE', code: 4410, reason: '', retry_ms: 0 })
  assert.deepEqual(sealed.end, { code: 4410, told: true })
})

test('a changed message ends the link without a word', () => {
  const link = asked(ours).say(member(ours), grant)
  link.session.ping()
  const message = link.transport.seal(encode({ type: 'PING', nonce: 1 }))
  message[0] ^= 1
  link.session.receive(message)
  assert.deepEqual(link.end, { code: 4401, told: false })
  assert.deepEqual(link.session.dataToSend(), [])
})
