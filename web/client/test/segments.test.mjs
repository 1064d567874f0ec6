// Segments, on the shared links and what ends one.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { source } from './source.mjs'

const { Segments, SegmentError, SEALED_BYTES, PATIENCE_MS } = await source('segments')

const { links, refused } = JSON.parse(readFileSync(new URL('../../../tests/vectors/segments.json', import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')

function drained(side, now = 0) {
  const written = []
  for (let segment; (segment = side.next(now)) !== null;) written.push(segment)
  return written
}

for (const link of links) {
  test(`a link: ${link.name}`, () => {
    const sides = [new Segments(link.segment_bytes), new Segments(link.segment_bytes)]
    const given = [[], []]
    link.first.forEach((message) => sides[0].send(bytes(message)))
    link.second.forEach((message) => sides[1].send(bytes(message)))
    const rest = [[], []]
    for (const [turn, expected] of link.turns.entries()) {
      if (link.moves?.[turn % 2] === turn) rest[turn % 2] = sides[turn % 2].move().map(hex)
      const written = drained(sides[turn % 2])
      assert.deepEqual(written.map(hex), expected)
      for (const segment of written) {
        const whole = sides[1 - (turn % 2)].receive(segment, 0)
        if (whole) given[1 - (turn % 2)].push(hex(whole))
      }
    }
    assert.deepEqual(rest, link.rest)
    assert.deepEqual([[...given[1], ...rest[0]], [...given[0], ...rest[1]]], [link.first, link.second])
    for (const side of sides) assert.deepEqual([side.movedOut, side.movedIn], [!!link.moves, !!link.moves])
    assert.equal(sides[0].congested, false)
  })
}

for (const { name, segments, code } of refused) {
  test(`ends the link: ${name}`, () => {
    const side = new Segments(20)
    segments.slice(0, -1).forEach((segment) => side.receive(bytes(segment), 0))
    assert.throws(() => side.receive(bytes(segments.at(-1)), 0), (error) => error instanceof SegmentError && error.code === code)
  })
}

test('who sends without a credit is cut off', () => {
  const side = new Segments(20)
  side.receive(bytes('206461'), 0)
  for (let sequence = 1; sequence < 16; sequence++) side.receive(Uint8Array.of(sequence, 1), 0)
  assert.throws(() => side.receive(Uint8Array.of(16, 1), 0), { code: 4400 })
})

test('what goes no further is given up, in both directions', () => {
  const reading = new Segments(20)
  reading.check(1_000_000)
  reading.receive(bytes('200961'), 5_000)
  reading.check(5_000 + PATIENCE_MS - 1)
  assert.throws(() => reading.check(5_000 + PATIENCE_MS), { code: 4408 })
  const writing = new Segments(20)
  writing.send(new Uint8Array(5_000))
  drained(writing, 5_000)
  assert.equal(writing.congested, true)
  writing.check(5_000 + PATIENCE_MS - 1)
  assert.throws(() => writing.check(5_000 + PATIENCE_MS), { code: 4408 })
})

test('what comes is held back while there is too much of it', () => {
  const [writing, reading] = [new Segments(20), new Segments(20)]
  reading.holding = true
  writing.send(new Uint8Array(5_000))
  for (const segment of drained(writing)) reading.receive(segment, 0)
  assert.deepEqual(drained(reading), [])
  reading.holding = false
  assert.equal(drained(reading).length, 1)
})

test('a side that moves alone is given up', () => {
  for (const [mover, other] of [[0, 1], [1, 0]]) {
    const sides = [new Segments(20), new Segments(20)]
    assert.deepEqual(sides[mover].move(), [])
    for (const segment of drained(sides[mover], 5_000)) sides[other].receive(segment, 5_000)
    for (const side of sides) {
      side.check(5_000 + PATIENCE_MS - 1)
      assert.throws(() => side.check(5_000 + PATIENCE_MS), { code: 4408 })
    }
  }
})

test('the longest sealed message is taken', () => {
  const [writing, reading] = [new Segments(512), new Segments(512)]
  writing.send(new Uint8Array(SEALED_BYTES))
  let whole = null
  for (let written; (written = drained(writing)).length > 0;) {
    for (const segment of written) whole ??= reading.receive(segment, 0)
    for (const segment of drained(reading)) writing.receive(segment, 0)
  }
  assert.equal(whole.length, SEALED_BYTES)
  assert.throws(() => writing.send(new Uint8Array(SEALED_BYTES + 1)), RangeError)
})

test('our own mistakes are named', () => {
  assert.throws(() => new Segments(19), RangeError)
  assert.throws(() => new Segments(513), RangeError)
  assert.throws(() => new Segments(20).send(new Uint8Array()), RangeError)
  const moved = new Segments(20)
  moved.move()
  assert.throws(() => moved.move(), /moved/)
  assert.throws(() => moved.send(bytes('61')), /moved/)
})
