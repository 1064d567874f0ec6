// The calling side of a sealed link, on the keys of the shared handshakes.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { source } from './source.mjs'

const { Channel } = await source('channel')
const { Handshake, KeyPair } = await source('noise')

const { ours } = JSON.parse(readFileSync(new URL('../../../tests/vectors/noise.json', import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')
const pair = (secret) => new KeyPair(bytes(secret))

function ends({ pattern, initiator, responder, psk: secret, prologue }) {
  const psk = secret ? bytes(secret) : undefined
  const remoteStatic = pattern < 2 ? pair(responder.static).public : undefined
  return [
    new Channel(pattern, { static: pair(initiator.static), ephemeral: pair(initiator.ephemeral), remoteStatic, psk }),
    new Handshake(pattern, false, { static: pair(responder.static), ephemeral: pair(responder.ephemeral), psk }, bytes(prologue)),
  ]
}

function answered(described) {
  const [channel, acceptor] = ends(described)
  acceptor.read(channel.call().message)
  return [channel, acceptor, { type: 'NOISE', pattern: described.pattern, message: acceptor.write() }]
}

const code = (number) => (error) => error.code === number

for (const described of ours) {
  test(`pattern ${described.pattern}: sealed both ways, and the peer's key is known`, () => {
    const [channel, acceptor, answer] = answered(described)
    assert.equal(channel.sealed, false)
    assert.throws(() => channel.remoteStatic)
    const last = channel.step([answer])
    assert.equal(last !== null, described.pattern > 1)
    if (last) acceptor.read(last.message)
    const transport = acceptor.split()
    assert.ok(channel.sealed)
    assert.equal(hex(channel.remoteStatic), hex(pair(described.responder.static).public))
    assert.equal(hex(transport.open(channel.seal(bytes('020501')))), '020501')
    assert.equal(hex(channel.open(transport.seal(bytes('020601')))), '020601')
  })
}

test('an answer that is not NOISE is never gone on with', () => {
  for (const records of [[], [{ type: 'PING', nonce: 1 }]]) assert.throws(() => answered(ours[0])[0].step(records), code(4401))
})

test('a handshake message comes alone, and keeps its pattern', () => {
  const [channel, , answer] = answered(ours[0])
  assert.throws(() => channel.step([answer, { type: 'PING', nonce: 1 }]), code(4400))
  assert.throws(() => channel.step([{ ...answer, pattern: answer.pattern + 1 }]), code(4400))
})

test('a changed answer is not authentic', () => {
  const [channel, , answer] = answered(ours[0])
  answer.message[40] ^= 1
  assert.throws(() => channel.step([answer]), code(4401))
  assert.equal(channel.sealed, false)
})
