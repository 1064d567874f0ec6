// Advertisements of a gateway, on the shared vectors.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { source } from './source.mjs'

const { isOfStore, readBeacon } = await source('beacon')
const { root, cases } = JSON.parse(readFileSync(new URL('../../../tests/vectors/beacon.json', import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')

for (const { name, later, token, digest, state, ours } of cases) {
  test(`a beacon of ${ours ? 'our' : 'another'} store: ${token}`, () => {
    const beacon = readBeacon(name)
    assert.deepEqual(readBeacon(later), beacon)
  assert.deepEqual([hex(beacon.token), hex(beacon.digest), beacon.state], [token, digest, state])
    assert.equal(isOfStore(bytes(root), beacon.token), ours)
    assert.equal(isOfStore(bytes(root), beacon.token.map((byte, place) => byte ^ Number(place === 7))), false)
  })
}

test('what is no beacon', () => {
  for (const name of ['', 'A phone', 'somebody’s headphones', cases[0].name.slice(0, -1)]) assert.equal(readBeacon(name), null)
  assert.equal(isOfStore(bytes(root), new Uint8Array()), false)
})
