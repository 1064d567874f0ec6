// Handshakes: the shared vectors, what must not succeed, and an implementation in C that has nothing of ours.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { source } from './source.mjs'

const { Handshake, KeyPair, MAX_NOISE_BYTES, NoiseError, Pattern, prologueOf, sealedBytes } = await source('noise')
const { normalised, pairingCode, PairingCodeError, pairingPsk } = await source('pairing-code')

const require = createRequire(import.meta.url)
const stored = JSON.parse(readFileSync(new URL('../../../tests/vectors/noise.json', import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')
const text = (string) => new TextEncoder().encode(string)
const PIECE_BYTES = MAX_NOISE_BYTES - 16
const ours = stored.ours
const batch = (size) => Uint8Array.from({ length: size }, (_, index) => index % 251)

function side(described, initiator) {
  const [own, peer] = initiator ? [described.initiator, described.responder] : [described.responder, described.initiator]
  return new Handshake(described.pattern, initiator, {
    static: new KeyPair(bytes(own.static)),
    ephemeral: new KeyPair(bytes(own.ephemeral)),
    remoteStatic: initiator && described.pattern < Pattern.XXpsk0 ? new KeyPair(bytes(peer.static)).public : undefined,
    psk: described.psk ? bytes(described.psk) : undefined,
  }, bytes(described.prologue))
}

/** Who is to read message `number`, and that message; `changes` are those of the responder. */
function readerOf(described, number, changes = {}) {
  const ends = [side(described, true), side({ ...described, ...changes }, false)]
  for (let turn = 0; turn < number; turn++) ends[(turn + 1) % 2].read(ends[turn % 2].write())
  return [ends[(number + 1) % 2], ends[number % 2].write()]
}

function transports(described = ours[0]) {
  const ends = [side(described, true), side(described, false)]
  described.handshake.forEach((_, turn) => ends[(turn + 1) % 2].read(ends[turn % 2].write()))
  return ends.map((end) => end.split())
}

/** It refuses the message and everything from then on. */
function refuse(reader, message, code) {
  const verb = 'read' in reader ? 'read' : 'open'
  assert.throws(() => reader[verb](message), (error) => error instanceof NoiseError && error.code === code)
  assert.throws(() => reader[verb](message), /over/)
  assert.throws(() => (verb === 'read' ? reader.write() : reader.seal(text('x'))), /over/)
}

const changed = (message, place, bit) => message.map((byte, index) => (index === place ? byte ^ bit : byte))
// The first message of XX is a bare key: whatever it is, the next one tells.
const messages = ours.flatMap((described) => described.handshake.map((entry, number) => [described, number, entry.message.length / 2]))
  .filter(([{ pattern }, number]) => pattern !== Pattern.XX || number)

for (const described of [...stored.published, ...ours]) {
  test(`a handshake of the vectors: ${described.name}`, () => {
    const ends = [side(described, true), side(described, false)]
    described.handshake.forEach(({ payload, message }, turn) => {
      assert.ok(ends[turn % 2].isWriting)
      assert.equal(hex(ends[turn % 2].write(bytes(payload))), message)
      assert.equal(hex(ends[(turn + 1) % 2].read(bytes(message))), payload)
    })
    assert.ok(ends.every((end) => end.done))
    assert.equal(hex(ends[0].handshakeHash), hex(ends[1].handshakeHash))
    if (described.hash) assert.equal(hex(ends[0].handshakeHash), described.hash)
    assert.deepEqual(ends[1].remoteStatic, new KeyPair(bytes(described.initiator.static)).public)
    const links = ends.map((end) => end.split())
    for (const { initiator, batch, message } of described.transport) {
      const [sender, receiver] = initiator ? links : [links[1], links[0]]
      assert.equal(hex(sender.seal(bytes(batch))), message)
      assert.equal(hex(receiver.open(bytes(message))), batch)
    }
  })
}

test('the prologue of the vectors', () => {
  for (const { pattern, prologue } of ours) assert.equal(hex(prologueOf(pattern)), prologue)
})

test('the sealed batches of the vectors', () => {
  const [sender, receiver] = transports()
  for (const { batch_bytes, message_bytes, sha256 } of stored.sealed) {
    const message = sender.seal(batch(batch_bytes))
    assert.equal(message.length, message_bytes)
    assert.equal(sealedBytes(batch_bytes), message_bytes)
    assert.equal(createHash('sha256').update(message).digest('hex'), sha256)
    assert.deepEqual(receiver.open(message), batch(batch_bytes))
  }
})

test('the pairing codes of the vectors', () => {
  for (const { random, code } of stored.codes.made) assert.equal(pairingCode(bytes(random)), code)
  for (const { text: typed, code, psk } of stored.codes.read) {
    assert.equal(normalised(typed), code)
    assert.equal(hex(pairingPsk(typed)), psk)
  }
  for (const typed of stored.codes.refused) assert.throws(() => pairingPsk(typed), PairingCodeError)
  assert.throws(() => pairingCode(new Uint8Array(19)))
})

test('a message cut off anywhere, or longer', () => {
  for (const [described, number, size] of messages) {
    for (let length = 0; length < size; length++) {
      const [reader, message] = readerOf(described, number)
      refuse(reader, message.subarray(0, length), 4400)
    }
    const [reader, message] = readerOf(described, number)
    refuse(reader, Uint8Array.of(...message, 0), 4401)
    refuse(readerOf(described, number)[0], new Uint8Array(MAX_NOISE_BYTES + 1), 1009)
  }
})

test('a message with any byte changed', () => {
  for (const [described, number, size] of messages) {
    for (let place = 0; place < size; place++) {
      const [reader, message] = readerOf(described, number)
      // The top bit of a point is ignored in the exchange, not in the hash.
      refuse(reader, changed(message, place, place % 32 === 31 ? 0x80 : 1), 4401)
    }
  }
})

const points = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map(bytes)

test('keys of low order', () => {
  for (const point of [...points, ...points.map((point) => changed(point, 31, 0x80))]) {
    for (const [described, number] of messages.filter(([, number]) => number < 2)) {
      const [reader, message] = readerOf(described, number)
      // Without an exchange in this message it is the tag that does not fit.
      refuse(reader, Uint8Array.of(...point, ...message.subarray(32)), described.pattern === Pattern.XXpsk0 && number === 0 ? 4401 : 4400)
    }
    const pair = new KeyPair(bytes(ours[0].initiator.static))
    const caller = new Handshake(Pattern.IK, true, { static: pair, ephemeral: pair, remoteStatic: point }, prologueOf(Pattern.IK))
    assert.throws(() => caller.write(), (error) => error.code === 4400)
  }
})

test('a wrong secret, a wrong prologue, a reflected message', () => {
  const [, withQr, withCode] = ours
  const other = { psk: '00'.repeat(32) }
  refuse(...readerOf(withCode, 0, other), 4401)
  refuse(...readerOf(withQr, 1, other), 4401)
  for (const described of ours) {
    refuse(...readerOf(described, described.pattern === Pattern.XX ? 1 : 0, { prologue: '00' }), 4401)
    const initiator = side(described, true)
    assert.throws(() => initiator.read(initiator.write()), NoiseError)
    assert.ok(!initiator.done)
  }
})

test('out of turn it is over', () => {
  for (const verb of ['write', 'split']) {
    const responder = side(ours[0], false)
    assert.throws(() => responder[verb](), /reading/)
    assert.throws(() => responder.read(bytes(ours[0].handshake[0].message)), /over/)
  }
})

test('secrets that do not fit the pattern', () => {
  const pair = new KeyPair(bytes(ours[0].initiator.static))
  const keys = { static: pair, ephemeral: pair }
  for (const [pattern, initiator, more] of [
    [Pattern.IK, true, {}], [Pattern.IK, false, { remoteStatic: pair.public }], [Pattern.IK, false, { psk: new Uint8Array(32) }],
    [Pattern.IKpsk2, false, {}], [Pattern.XXpsk0, true, { psk: new Uint8Array(31) }],
    [Pattern.XXpsk0, true, { psk: new Uint8Array(32), remoteStatic: pair.public }], [Pattern.IK, true, { remoteStatic: new Uint8Array(33) }],
  ]) assert.throws(() => new Handshake(pattern, initiator, { ...keys, ...more }, text('')))
})

test('a link refuses what was cut, changed, replayed, skipped, reflected or put in another order', () => {
  const whole = transports()[0].seal(batch(7))
  for (let length = 0; length < whole.length; length++) refuse(transports()[1], whole.subarray(0, length), length > 16 ? 4401 : 4400)
  for (let place = 0; place < whole.length; place++) refuse(transports()[1], changed(whole, place, 1), 4401)
  const long = transports()[0].seal(batch(PIECE_BYTES + 10))
  for (let size = 1; size <= 16; size++) refuse(transports()[1], long.subarray(0, MAX_NOISE_BYTES + size), 4400)
  const two = transports()[0].seal(batch(2 * PIECE_BYTES))
  refuse(transports()[1], Buffer.concat([two.subarray(MAX_NOISE_BYTES), two.subarray(0, MAX_NOISE_BYTES)]), 4401)
  const [sender, receiver] = transports()
  const messages = [sender.seal(text('first')), sender.seal(text('second'))]
  refuse(transports()[1], messages[1], 4401)
  receiver.open(messages[0])
  refuse(receiver, messages[0], 4401)
  refuse(sender, messages[0], 4401)
})

test('a counter is not used twice, and ends', () => {
  const [sender, receiver] = transports()
  receiver.open(sender.seal(text('first')))
  sender.sending.next = 0n
  refuse(receiver, sender.seal(text('second')), 4401)
  const [last, reader] = transports()
  last.sending.next = reader.receiving.next = 2n ** 64n - 2n
  assert.deepEqual(reader.open(last.seal(text('last'))), text('last'))
  assert.throws(() => last.seal(text('more')), (error) => error.code === 4205)
  refuse(reader, new Uint8Array(17), 4205)
})

test('a batch holds something', () => {
  const [sender, receiver] = transports()
  assert.throws(() => sender.seal(new Uint8Array()), /holds/)
  assert.deepEqual(receiver.open(sender.seal(text('still works'))), text('still works'))
})

const wasmBinary = readFileSync(require.resolve('@richardhopton/noise-c.wasm/src/noise-c.wasm'))
const stranger = await new Promise((resolve) => require('@richardhopton/noise-c.wasm')({ wasmBinary }, resolve))

for (const described of ours) {
  for (const initiator of [true, false]) {
    test(`noise-c and our ${initiator ? 'initiator' : 'responder'} of ${described.name}`, () => {
      const { NOISE_ROLE_INITIATOR, NOISE_ROLE_RESPONDER } = stranger.constants
      const name = `Noise_${Pattern[described.pattern]}_25519_ChaChaPoly_SHA256`
      const theirs = stranger.HandshakeState(name, initiator ? NOISE_ROLE_RESPONDER : NOISE_ROLE_INITIATOR)
      const [own, peer] = initiator ? [described.responder, described.initiator] : [described.initiator, described.responder]
      theirs.Initialize(bytes(described.prologue), bytes(own.static), new KeyPair(bytes(peer.static)).public, described.psk ? bytes(described.psk) : null)
      const mine = side(described, initiator)
      for (let turn = 0; turn < described.handshake.length; turn++) {
        if (mine.isWriting) assert.deepEqual(theirs.ReadMessage(mine.write(text('there')), true), text('there'))
        else assert.deepEqual(mine.read(theirs.WriteMessage(text('back'))), text('back'))
      }
      assert.deepEqual(mine.handshakeHash, theirs.GetHandshakeHash())
      assert.deepEqual(mine.remoteStatic, new KeyPair(bytes(own.static)).public)
      const [send, receive] = theirs.Split()
      const link = mine.split()
      for (const size of [1, 100, 30_000]) {
        assert.deepEqual(link.open(send.EncryptWithAd(new Uint8Array(), batch(size))), batch(size))
        assert.deepEqual(receive.DecryptWithAd(new Uint8Array(), link.seal(batch(size))), batch(size))
      }
      send.free()
      receive.free()
    })
  }
}
