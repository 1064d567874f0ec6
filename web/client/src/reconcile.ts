// Which documents differ, in few bytes and few turns: two peers compare ranges of (name, fingerprint).
// gateway/core/reconcile.py is the same in Python and says why; tests/vectors/reconcile.json holds for both.
import { digest as sha256 } from 'lib0/hash/sha256'
import { joined } from './octets'
import { Malformed, MESSAGE_BYTES, Reader, Writer } from './wire'

export const SALT_BYTES = 8
/** A link message less the head of the batch and of the record. */
export const MAX_PAYLOAD_BYTES = MESSAGE_BYTES - 32
/** Room for the largest list and for what every answer may have to add at its end. */
export const MIN_PAYLOAD_BYTES = 8_192

const SKIP = 0
const DIGEST = 1
const LIST = 2
const DIFFER = 3
const FINGERPRINT_BYTES = 16
const DIGEST_BYTES = 8
const PARTS_OF_ONE = 32
const PARTS = 8
const LIST_DOCUMENTS = 16
const CUT_SLACK = 5
const MAX_NAME_BYTES = 200
const MAX_TEXTS = 8_192
const MAX_EXCHANGE_BYTES = 2 ** 25
// The digest of the rest: a range to skip before it, two bounds of the longest kind.
const LAST_TEXTS = 2
const LAST_BYTES = 2 * (MAX_NAME_BYTES + 5) + 8 + DIGEST_BYTES
const NOTHING = new Uint8Array()

/** Bytes, each as one character: such texts are compared, sorted and found by their bytes. */
type Binary = string

const encoder = new TextEncoder()
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Document names and their fingerprints at one moment, in the order of their bytes. */
export class Catalogue {
  private readonly entries = new Map<Binary, Uint8Array>()
  private readonly names: Binary[]
  /** Places at which a block begins. */
  private readonly blocks: number[]

  /** A name that no peer would take is left out. */
  constructor(documents: Iterable<readonly [name: string, fingerprint: Uint8Array]>) {
    for (const [name, fingerprint] of documents) {
      if (fingerprint.length !== FINGERPRINT_BYTES) throw new RangeError(`a fingerprint is ${FINGERPRINT_BYTES} bytes`)
      const bytes = encoder.encode(name)
      if (bytes.length <= MAX_NAME_BYTES) this.entries.set(binary(bytes), new Writer().bytes(bytes).raw(fingerprint).done())
    }
    this.names = [...this.entries.keys()].sort()
    this.blocks = [...this.names.keys()].filter((place) => sha256(fromBinary(this.names[place]))[0] === 0)
  }

  get size(): number {
    return this.names.length
  }

  /** Where a range begins and ends; no lower or upper bound is none at all. */
  places({ lower, upper }: Bounds): [start: number, end: number] {
    return [bisect(this.names, lower), upper ? bisect(this.names, upper) : this.names.length]
  }

  slice(start: number, end: number): Binary[] {
    return this.names.slice(start, end)
  }

  /** What a list says of a document that is there, beside its name. */
  short(name: Binary, salt: Uint8Array): Uint8Array {
    return sha256(joined([salt, this.entries.get(name)!])).subarray(0, DIGEST_BYTES)
  }

  /** The digest of the documents at these places, at least one. */
  digest(start: number, end: number, salt: Uint8Array): Uint8Array {
    const edges = [start, ...this.blocks.slice(bisect(this.blocks, start + 1), bisect(this.blocks, end)), end]
    const hashes = edges.slice(1).map((edge, index) =>
      sha256(joined(this.slice(edges[index], edge).map((name) => this.entries.get(name)!))))
    return sha256(joined([salt, ...hashes])).subarray(0, DIGEST_BYTES)
  }

  /** The shortest bound between the names before and at a place, which is not 0. */
  bound(place: number): Binary {
    const at = this.names[place]
    return at.slice(0, common(this.names[place - 1], at) + 1)
  }
}

/**
 * What one payload leads to: the payload to send, or null where nothing was asked; names that differ
 * (one may come again in a later turn); whether nothing will come back.
 */
export interface Answer { reply: Uint8Array | null; differing: string[]; finished: boolean }

/** The first payload: one digest of everything. The salt is 8 random bytes, new for each exchange. */
export function opening(catalogue: Catalogue, salt: Uint8Array): Uint8Array {
  const payload = new Payload(salt, MAX_PAYLOAD_BYTES)
  payload.add(digested(catalogue, { lower: '', upper: '' }, salt))
  return payload.done()
}

/** Compare a payload with the catalogue; the reply is at most `maxBytes`. Throws Malformed. */
export function answer(catalogue: Catalogue, payload: Uint8Array, maxBytes = MAX_PAYLOAD_BYTES): Answer {
  const { salt, ranges } = read(payload)
  const differing = new Set(ranges.flatMap(({ mode, names }) => (mode === DIFFER ? names : [])))
  const unequal = ranges.filter((range) => isUnequal(catalogue, range, salt))
  const reply = new Payload(salt, maxBytes)
  for (const piece of pieces(catalogue, unequal, salt)) {
    if (!reply.add(piece)) {
      reply.addLast(digested(catalogue, { lower: piece.lower, upper: ranges[ranges.length - 1].upper }, salt))
      break
    }
    if (piece.mode === DIFFER) for (const name of piece.names) differing.add(name)
  }
  return {
    reply: ranges.some(asks) ? reply.done() : null,
    differing: [...differing].sort().map((name) => utf8.decode(fromBinary(name))),
    finished: !reply.asks,
  }
}

/** How many payloads of one exchange to answer before giving the peer up. */
export function mostTurns(maxBytes: number): number {
  return Math.floor(MAX_EXCHANGE_BYTES / maxBytes)
}

interface Bounds { lower: Binary; upper: Binary }

/** `lower` is the upper bound of the range before; `shorts` are digests of the names listed. */
interface Range extends Bounds { mode: number; digest: Uint8Array; names: Binary[]; shorts: Uint8Array[] }

function range({ lower, upper }: Bounds, mode: number, content: Partial<Range> = {}): Range {
  return { lower, upper, mode, digest: NOTHING, names: [], shorts: [], ...content }
}

function asks({ mode }: Range): boolean {
  return mode === DIGEST || mode === LIST
}

/** Whether a range asks for an answer: a list, or a digest that is not ours. */
function isUnequal(catalogue: Catalogue, theirs: Range, salt: Uint8Array): boolean {
  if (theirs.mode !== DIGEST) return theirs.mode === LIST
  const [start, end] = catalogue.places(theirs)
  return start === end || !same(theirs.digest, catalogue.digest(start, end, salt))
}

function* pieces(catalogue: Catalogue, unequal: Range[], salt: Uint8Array): Generator<Range> {
  const parts = unequal.length === 1 ? PARTS_OF_ONE : PARTS
  for (const range of unequal) yield* piecesOf(catalogue, range, parts, salt)
}

/** What an unequal range is answered with, in ranges of which any fits a payload. */
function* piecesOf(catalogue: Catalogue, theirs: Range, parts: number, salt: Uint8Array): Generator<Range> {
  const [start, end] = catalogue.places(theirs)
  if (theirs.mode === LIST) {
    const names = differences(catalogue, theirs, salt)
    for (let cut = 0; cut < names.length; cut += LIST_DOCUMENTS) {
      const next = cut + LIST_DOCUMENTS
      const bounds = { lower: cut ? names[cut] : theirs.lower, upper: next < names.length ? names[next] : theirs.upper }
      yield range(bounds, DIFFER, { names: names.slice(cut, next) })
    }
  } else if (end - start <= LIST_DOCUMENTS) {
    const names = catalogue.slice(start, end)
    yield range(theirs, LIST, { names, shorts: names.map((name) => catalogue.short(name, salt)) })
  } else {
    let { lower } = theirs
    for (const upper of [...cuts(catalogue, start, end, parts), theirs.upper]) {
      yield digested(catalogue, { lower, upper }, salt)
      lower = upper
    }
  }
}

/** The names that differ between a list and the catalogue, or more than a payload holds. */
function differences(catalogue: Catalogue, theirs: Range, salt: Uint8Array): Binary[] {
  const shorts = new Map(theirs.names.map((name, index) => [name, theirs.shorts[index]]))
  const [start, end] = catalogue.places(theirs)
  // Beyond that the answer is full, so what comes later is not looked at.
  const own = catalogue.slice(start, Math.min(end, start + shorts.size + MAX_TEXTS))
  const differing = new Set(theirs.names)
  for (const name of own) {
    const short = shorts.get(name)
    if (short && same(short, catalogue.short(name, salt))) differing.delete(name)
    else differing.add(name)
  }
  return [...differing].sort()
}

/** Bounds that cut these places in parts of about the same size, each the shortest nearby. */
function* cuts(catalogue: Catalogue, start: number, end: number, most: number): Generator<Binary> {
  const count = end - start
  const parts = Math.min(most, Math.floor(count / 2))
  const slack = Math.min(CUT_SLACK, Math.floor(count / (4 * parts)))
  for (let number = 1; number < parts; number++) {
    const middle = start + Math.floor((count * number) / parts)
    const bounds = Array.from({ length: 2 * slack + 1 }, (_, index) => catalogue.bound(middle - slack + index))
    yield bounds.reduce((shortest, bound) => (bound.length < shortest.length ? bound : shortest))
  }
}

/** The digest of a range. To list nothing asks for everything: the other side is told. */
function digested(catalogue: Catalogue, bounds: Bounds, salt: Uint8Array): Range {
  const [start, end] = catalogue.places(bounds)
  return start === end ? range(bounds, LIST) : range(bounds, DIGEST, { digest: catalogue.digest(start, end, salt) })
}

/** A payload in the making, within its limits. */
class Payload {
  asks = false
  private readonly written: Uint8Array[]
  private bytesLeft: number
  private textsLeft = MAX_TEXTS - LAST_TEXTS
  private reached: Binary = ''
  private previous: Binary = ''

  constructor(salt: Uint8Array, maxBytes: number) {
    this.written = [salt]
    this.bytesLeft = maxBytes - LAST_BYTES - salt.length
  }

  /** Write a range above all others, unless it does not fit. */
  add(piece: Range): boolean {
    const skips = piece.lower !== this.reached
    const texts = 1 + Number(skips) + piece.names.length
    if (texts > this.textsLeft) return false
    const writer = new Writer()
    let { previous } = this
    const write = (text: Binary) => {
      frontCoded(writer, previous, text)
      previous = text
    }
    if (skips) {
      write(piece.lower)
      writer.varint(SKIP)
    }
    write(piece.upper)
    writer.varint(piece.mode)
    if (piece.mode === DIGEST) writer.raw(piece.digest)
    else {
      writer.varint(piece.names.length)
      piece.names.forEach((name, index) => {
        write(name)
        if (piece.mode === LIST) writer.raw(piece.shorts[index])
      })
    }
    const written = writer.done()
    if (written.length > this.bytesLeft) return false
    this.written.push(written)
    this.bytesLeft -= written.length
    this.textsLeft -= texts
    this.asks ||= asks(piece)
    this.previous = previous
    this.reached = piece.upper
    return true
  }

  /** Write the digest of what did not fit; room was left for it. */
  addLast(piece: Range): void {
    this.bytesLeft += LAST_BYTES
    this.textsLeft += LAST_TEXTS
    this.add(piece)
  }

  done(): Uint8Array {
    return joined(this.written)
  }
}

function read(payload: Uint8Array): { salt: Uint8Array; ranges: Range[] } {
  if (payload.length > MAX_PAYLOAD_BYTES) throw new Malformed(`ranges of more than ${MAX_PAYLOAD_BYTES} bytes`)
  const reader = new RangeReader(payload)
  const salt = reader.take(SALT_BYTES)
  const ranges: Range[] = []
  let lower: Binary = ''
  while (reader.left) {
    if (ranges.length && !lower) throw new Malformed('a range after the last')
    const upper = reader.text()
    if (upper && upper <= lower) throw new Malformed('ranges are not in order')
    ranges.push(reader.content({ lower, upper }))
    lower = upper
  }
  return { salt, ranges }
}

class RangeReader extends Reader {
  private previous: Binary = ''
  private textsLeft = MAX_TEXTS

  /** A bound or name, of which the beginning may be that of the text before it. */
  text(): Binary {
    if (--this.textsLeft < 0) throw new Malformed(`ranges with more than ${MAX_TEXTS} names`)
    const rest = this.bytes()
    if (!rest.length) return (this.previous = '')
    const kept = this.varint()
    if (kept > this.previous.length || kept + rest.length > MAX_NAME_BYTES) throw new Malformed('a name or bound is too long')
    return (this.previous = this.previous.slice(0, kept) + binary(rest))
  }

  /** Mode and payload of the range with these bounds. */
  content(bounds: Bounds): Range {
    const found = range(bounds, this.varint())
    if (found.mode > DIFFER) throw new Malformed('a range of an unknown mode')
    if (found.mode === DIGEST) found.digest = this.take(DIGEST_BYTES)
    if (found.mode < LIST) return found
    let { lower } = bounds
    for (let left = this.varint(); left > 0; left--) {
      found.names.push(this.name(lower, bounds.upper))
      if (found.mode === LIST) found.shorts.push(this.take(DIGEST_BYTES))
      lower = found.names[found.names.length - 1] + '\0'
    }
    return found
  }

  private name(lower: Binary, upper: Binary): Binary {
    const name = this.text()
    if (!name || name < lower || (upper && name >= upper)) throw new Malformed('names are not in order or not in their range')
    try {
      utf8.decode(fromBinary(name))
    } catch {
      throw new Malformed('a name is not UTF-8')
    }
    return name
  }
}

/** A text: its new part, then how many bytes of the previous text it begins with. */
function frontCoded(writer: Writer, previous: Binary, text: Binary): void {
  if (!text) return void writer.varint(0)
  const kept = Math.min(common(previous, text), text.length - 1)
  writer.bytes(fromBinary(text.slice(kept))).varint(kept)
}

/** How many bytes two texts have in common at their beginning. */
function common(one: Binary, other: Binary): number {
  const most = Math.min(one.length, other.length)
  let size = 0
  while (size < most && one[size] === other[size]) size++
  return size
}

function binary(bytes: Uint8Array): Binary {
  return String.fromCharCode(...bytes)
}

function fromBinary(text: Binary): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let place = 0; place < bytes.length; place++) bytes[place] = text.charCodeAt(place)
  return bytes
}

/** The place of the first that is not below a value. */
function bisect<Value>(sorted: Value[], value: Value): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle] < value) low = middle + 1
    else high = middle
  }
  return low
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.every((byte, index) => byte === other[index])
}
