// The shared vectors: what Python writes, JavaScript reads and writes the same.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as Y from 'yjs'
import { batches, canonical, decode, encode, fingerprint, Malformed, splitUpdate } from '../dist/index.js'

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')

const plain = (value) =>
  value instanceof Uint8Array ? hex(value)
    : Array.isArray(value) ? value.map(plain)
      : value && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]))
        : value

const protocol = vectors('protocol')

for (const { name, hex: message, records } of protocol.good) {
  test(`reads and writes: ${name}`, () => {
    const read = decode(bytes(message))
    assert.deepEqual(read.map(plain), records)
    assert.equal(hex(batches(read.map(encode), 262_144)[0]), message)
  })
}
for (const { name, hex: message, records } of protocol.skipped) {
  test(`skips: ${name}`, () => assert.deepEqual(decode(bytes(message)).map(plain), records))
}
for (const { name, hex: message } of protocol.refused) {
  test(`refuses: ${name}`, () => assert.throws(() => decode(bytes(message)), Malformed))
}
for (const { name, updates, canonical: expected, fingerprint: print } of vectors('fingerprint')) {
  test(`fingerprint of ${name}`, () => {
    const doc = new Y.Doc()
    for (const update of updates) Y.applyUpdate(doc, bytes(update))
    assert.equal(hex(canonical(doc)), expected)
    assert.equal(hex(fingerprint(doc)), print)
  })
}

test('a large update in parts is the same update', () => {
  const doc = new Y.Doc()
  const map = doc.getMap('map')
  for (let i = 0; i < 2_000; i++) map.set('key ' + (i % 900), 'x'.repeat(40) + i)
  const parts = splitUpdate(Y.encodeStateAsUpdate(doc), 8_192)
  assert.ok(parts.length > 5)
  for (const part of parts) assert.ok(part.length <= 8_192)
  const other = new Y.Doc()
  Y.applyUpdate(other, Y.mergeUpdates(parts))
  assert.deepEqual(other.getMap('map').toJSON(), map.toJSON())
  assert.equal(hex(fingerprint(other)), hex(fingerprint(doc)))
})
