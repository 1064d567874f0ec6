// The shared vectors of certificates, and that no damaged byte passes.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { source } from './source.mjs'

const { storeHint, storeId, verifyCertificate } = await source('certificate')
const { decode, encodeArray } = await source('cbor')
const vectors = JSON.parse(readFileSync(new URL('../../../tests/vectors/tickets.json', import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')
const CODES = { malformed: 4400, unauthorised: 4401, 'other-store': 4421, version: 4426 }

const root = bytes(vectors.store.root_public)
const good = bytes(vectors.certificate.hex)
const noiseKey = bytes(vectors.certificate.claims.noise_key)

/** The code a certificate is refused with. */
function refused(data, key = root, noise = noiseKey) {
  try {
    verifyCertificate(data, key, noise)
  } catch (error) {
    assert.ok(error.code || error.constructor.name === 'Malformed', String(error.stack))
    return error.code ?? 4400
  }
  throw new Error('was not refused')
}

test('a store is its root key', () => {
  assert.equal(hex(storeId(root)), vectors.store.store)
  assert.equal(hex(storeHint(storeId(root))), vectors.store.hint)
})
test('reads a certificate', () => {
  const found = verifyCertificate(good, root, noiseKey)
  const plain = Object.fromEntries(Object.entries(found).map(([name, value]) => [name, value instanceof Uint8Array ? hex(value) : value]))
  assert.deepEqual(plain, vectors.certificate.claims)
})
for (const { name, hex: data, code } of vectors.refused_certificates) {
  test(`refuses: ${name}`, () => assert.equal(refused(bytes(data)), CODES[code]))
}
test('a gateway that proved another key is refused', () => {
  for (const key of [bytes(vectors.ticket.claims.noise_key), new Uint8Array(32), new Uint8Array(), noiseKey.subarray(1)]) {
    assert.equal(refused(good, root, key), 4401)
  }
})
test('a weak or short root signs nothing', () => {
  for (const weak of [...vectors.refused_roots.map(bytes), root.subarray(1)]) {
    for (const first of [0, 1]) {
      const forged = Uint8Array.from(good)
      forged.fill(0, good.length - 64)
      forged[good.length - 64] = first
      // The store's id, so that only the signature is left to refuse.
      forged.set(storeId(weak), hex(good).indexOf(vectors.store.store) / 2)
      assert.equal(refused(forged, weak), 4401)
    }
  }
})
test('every flipped bit and every cut is refused', () => {
  for (let bit = 0; bit < 8 * good.length; bit++) {
    const flipped = Uint8Array.from(good)
    flipped[bit >> 3] ^= 1 << (bit & 7)
    refused(flipped)
  }
  for (let end = 0; end < good.length; end++) assert.equal(refused(good.subarray(0, end)), 4400)
  assert.equal(refused(new Uint8Array(3_073)), 4400)
})
for (const { name, hex: data } of vectors.refused_cbor) {
  test(`not in its one form: ${name}`, () => {
    assert.throws(() => decode(bytes(data)), (error) => error.constructor.name === 'Malformed')
  })
}
test('values of every kind', () => {
  assert.deepEqual(decode(bytes('8620391387186443010203' + '63e6b0b4' + 'a2182a8020' + '1b001fffffffffffff')),
    [-1, -5000, 100, bytes('010203'), '水', new Map([[42, []], [-1, Number.MAX_SAFE_INTEGER]])])
})
test('nesting and claims of size end', () => {
  for (const bomb of ['81'.repeat(5) + '00', '81'.repeat(100_000), 'a101'.repeat(100_000), '9b001fffffffffffff', 'ba7fffffff', '5b001fffffffffffff']) {
    assert.throws(() => decode(bytes(bomb)), (error) => error.constructor.name === 'Malformed')
  }
  assert.deepEqual(decode(bytes('8181818100')), [[[[0]]]])
})
test('lengths are written in their shortest form', () => {
  for (const length of [0, 23, 24, 255, 256, 3_000]) {
    const value = new Uint8Array(length).fill(7)
    assert.deepEqual(decode(encodeArray([value, 'é'])), [value, 'é'])
  }
})
