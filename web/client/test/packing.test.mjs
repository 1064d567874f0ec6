// Deflating with the preset dictionary, on the shared vectors.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { source } from './source.mjs'

const { DICTIONARY, pack, PackedError, unpack } = await source('packing', 'dictionary')
const { dictionary, cases } = JSON.parse(readFileSync(new URL('../../../tests/vectors/packing.json', import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')
const LIMIT = 262_144
const refused = (packed, code, limit = LIMIT) => assert.throws(() => unpack(packed, limit), (error) => error instanceof PackedError && error.code === code)

test('the dictionary is that of the gateway', () => assert.equal(hex(DICTIONARY), dictionary))

test('the shared vectors are read, and what is written zlib reads', () => {
  for (const { plain, packed } of cases) {
    assert.equal(hex(unpack(bytes(packed), plain.length / 2)), plain)
    assert.equal(hex(inflateRawSync(pack(bytes(plain)), { dictionary: DICTIONARY })), plain)
  }
})

test('anything comes back as it was, of any length', () => {
  let state = 1
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24
  for (const length of [1, 20, 1_000, 100_000, LIMIT]) {
    const noise = Uint8Array.from({ length }, next)
    assert.deepEqual(unpack(pack(noise), LIMIT), noise)
  }
})

test('a bomb makes no more than the limit', () => {
  const bomb = deflateRawSync(Buffer.alloc(64 << 20), { dictionary: DICTIONARY, level: 9 })
  refused(bomb, 1009)
  refused(pack(new Uint8Array(LIMIT + 1)), 1009)
  assert.equal(unpack(pack(new Uint8Array(LIMIT)), LIMIT).length, LIMIT)
})

test('damage is named', () => {
  const packed = pack(new TextEncoder().encode('an order with a note, and another order with a note'))
  refused(packed.subarray(0, -1), 4400)
  refused(Uint8Array.of(0xff, ...packed), 4400)
  for (let place = 0; place < packed.length; place++) {
    for (let bit = 0; bit < 8; bit++) {
      const damaged = Uint8Array.from(packed)
      damaged[place] ^= 1 << bit
      try {
        assert.ok(unpack(damaged, LIMIT).length <= LIMIT)
      } catch (error) {
        if (!(error instanceof PackedError)) throw error
      }
    }
  }
})
