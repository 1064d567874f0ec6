// The shared exchanges, byte by byte; sets at random; payloads that are none.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { answer, Catalogue, Malformed, MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES, opening } from '../dist/index.js'
import { random } from '../../../tests/js/edits.mjs'

const vectors = JSON.parse(readFileSync(new URL('../../../tests/vectors/reconcile.json', import.meta.url)))
const SALT = Uint8Array.from({ length: 8 }, (_, index) => index)
const MAX_TURNS = 40
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')
const state = (value) => createHash('sha256').update(String(value)).digest().subarray(0, 16)
const orders = (count) => Array.from({ length: count }, (_, number) => [`orders/2026-11-23-${String(number).padStart(6, '0')}`, state(number)])

// All payloads in turn, and what each side found to differ.
function exchange(one, other, maxBytes = MAX_PAYLOAD_BYTES) {
  const payloads = [opening(one, SALT)]
  const found = [new Set(), new Set()]
  let over = false
  for (;;) {
    const side = payloads.length % 2
    const { reply, differing, finished } = answer([one, other][side], payloads.at(-1), maxBytes)
    for (const name of differing) found[side].add(name)
    if (reply === null) {
      assert.ok(over && finished)
      return { payloads, found: found.map((names) => [...names].sort()) }
    }
    over = finished
    assert.ok(reply.length <= maxBytes)
    payloads.push(reply)
    assert.ok(payloads.length < MAX_TURNS)
  }
}

for (const { name, sides, payloads, differing } of vectors) {
  test(`exchange: ${name}`, () => {
    const [one, other] = sides.map((side) => new Catalogue(Object.entries(side).map(([key, value]) => [key, bytes(value)])))
    const done = exchange(one, other)
    assert.deepEqual(done.payloads.map(hex), payloads)
    assert.deepEqual(done.found, [differing, differing])
  })
}

test('any two sets, with short and long messages', () => {
  const pick = random(7)
  const pools = [
    Array.from({ length: 400 }, (_, number) => `orders/${number}`),
    Array.from({ length: 300 }, () => 'a/' + Array.from({ length: 1 + pick(4) }, () => [...'aé\u{1f600}\uff5e\ud7ff'][pick(5)]).join('')),
  ]
  for (let round = 0; round < 200; round++) {
    const pool = pools[round % 2]
    const share = pick(10)
    const sides = [new Map(), new Map()]
    for (const name of pool) {
      const same = pick(10) < share
      for (const side of sides) if (same || pick(3)) side.set(name, state(same ? name : pick(2)))
    }
    const [one, other] = sides
    const expected = [...new Set(pool)].filter((name) => hex(one.get(name) ?? '') !== hex(other.get(name) ?? '')).sort()
    const { found } = exchange(new Catalogue(one), new Catalogue(other), pick(2) ? MIN_PAYLOAD_BYTES : MAX_PAYLOAD_BYTES)
    assert.deepEqual(found, [expected, expected])
  }
})

test('three of ten thousand in 2 kB and three round trips, quickly', () => {
  const documents = orders(10_000)
  const changed = new Map(documents)
  for (const place of [17, 4_321, 9_998]) changed.set(documents[place][0], state('changed'))
  const catalogues = [new Catalogue(documents), new Catalogue(changed)]
  const { payloads, found } = exchange(...catalogues)
  assert.deepEqual(found[0], [17, 4_321, 9_998].map((place) => documents[place][0]))
  assert.ok(payloads.length <= 6)
  assert.ok(payloads.reduce((sum, payload) => sum + payload.length + 5, 0) <= 2_000)
})

test('a name that no peer would take is left out', () => {
  assert.equal(new Catalogue([[`orders/${'x'.repeat(194)}`, state(1)], ['orders/1', state(1)]]).size, 1)
})

const text = (part, kept = 0) => [part.length, ...Buffer.from(part, 'latin1'), kept]
const zeros = (count) => Array(count).fill(0)
const named = (mode, names, upper = [0]) =>
  [...SALT, ...upper, mode, ...(names.length < 128 ? [names.length] : [(names.length % 128) | 128, names.length >> 7]),
    ...names.flatMap((name) => [...text(name), ...(mode === 2 ? zeros(8) : [])])]

const MALFORMED = {
  'no salt': [],
  'a salt cut off': [...SALT.subarray(1)],
  'too long': [...SALT, ...zeros(MAX_PAYLOAD_BYTES)],
  'an unknown mode': [...SALT, 0, 4],
  'a mode cut off': [...SALT, 0],
  'a digest cut off': [...SALT, 0, 1, ...zeros(7)],
  'a range after the last': [...SALT, 0, 0, 0, 0],
  'bounds that do not ascend': [...SALT, ...text('b'), 0, ...text('b'), 0],
  'more kept than there is': [...SALT, ...text('b', 1), 0],
  'a bound too long with what is kept': [...SALT, ...text('b'.repeat(100)), 0, ...text('c'.repeat(101), 100), 0],
  'names that do not ascend': named(2, ['a/c', 'a/b']),
  'a name twice': named(3, ['a/b', 'a/b']),
  'a name above its range': named(3, ['a/b'], text('a/b')),
  'a name below its range': [...SALT, ...text('b'), 0, ...named(2, ['a/b']).slice(8)],
  'an empty name': [...SALT, 0, 3, 1, 0],
  'a name that is not UTF-8': named(3, ['a/\xff']),
  'fewer names than counted': [...SALT, 0, 3, 255, 255, 255, 255, 15, ...text('a/b')],
  'a list cut off': named(2, ['a/b']).slice(0, -1),
  'too many names': named(3, Array.from({ length: 8_192 }, (_, number) => `a/${String(number).padStart(5, '0')}`)),
}
for (const [name, payload] of Object.entries(MALFORMED)) {
  test(`refuses: ${name}`, () => assert.throws(() => answer(new Catalogue(orders(10)), Uint8Array.from(payload)), Malformed))
}

test('nothing asked is not answered', () => {
  for (const payload of [[...SALT], [...SALT, 0, 0], named(3, [])]) {
    assert.deepEqual(answer(new Catalogue([]), Uint8Array.from(payload)), { reply: null, differing: [], finished: true })
  }
})

test('a skipped range is not looked at', () => {
  const documents = orders(12)
  const payload = Uint8Array.from([...SALT, ...text(documents[9][0]), 0, 0, 2, 0])
  const { reply, differing, finished } = answer(new Catalogue(documents), payload)
  assert.deepEqual(differing, documents.slice(9).map(([name]) => name))
  assert.ok(reply && finished)
})
