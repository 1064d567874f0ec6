// CBOR in deterministic encoding (RFC 8949 4.2.1), the part that certificates need, read strictly
// (gateway/core/cbor.py): numbers, byte strings, text, arrays, maps with numbers as keys.
import { compare, joined } from './octets'
import { Malformed } from './wire'

export type Value = number | Uint8Array | string | Value[] | Map<number, Value>

const MAX_NESTING = 4
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** The value that exactly these bytes are. Throws `Malformed`. */
export function decode(data: Uint8Array): Value {
  const reader = new Reader(data)
  const value = reader.value(0)
  if (reader.position !== data.length) throw new Malformed('bytes after the end of a value')
  return value
}

class Reader {
  position = 0
  constructor(private readonly data: Uint8Array) {}

  value(nesting: number): Value {
    const [kind, number] = this.head()
    switch (kind) {
      case 0: return number
      case 1: return -1 - number
      case 2: return this.take(number)
      case 3: return this.text(number)
      case 4: return this.values(number, nesting)
      case 5: return this.map(number, nesting)
    }
    throw new Malformed('a kind of value that is not used here')
  }

  private values(count: number, nesting: number): Value[] {
    this.check(count, nesting)
    const found: Value[] = []
    for (let n = 0; n < count; n++) found.push(this.value(nesting + 1))
    return found
  }

  private map(count: number, nesting: number): Map<number, Value> {
    this.check(2 * count, nesting)
    const found = new Map<number, Value>()
    let last: Uint8Array = new Uint8Array()
    for (let n = 0; n < count; n++) {
      const start = this.position
      const key = this.value(nesting + 1)
      const encoded = this.data.subarray(start, this.position)
      if (typeof key !== 'number') throw new Malformed('a key that is not a number')
      if (compare(encoded, last) <= 0) throw new Malformed('keys out of order, or the same one twice')
      last = encoded
      found.set(key, this.value(nesting + 1))
    }
    return found
  }

  private head(): [kind: number, number: number] {
    const first = this.take(1)[0]
    const short = first & 0x1f
    if (short < 24) return [first >> 5, short]
    if (short > 27) throw new Malformed('an indefinite or reserved length')
    const size = 1 << (short - 24)
    const number = this.take(size).reduce((sum, byte) => sum * 256 + byte, 0)
    if (number < (size === 1 ? 24 : 2 ** (4 * size))) throw new Malformed('a number is not in its shortest form')
    if (number > Number.MAX_SAFE_INTEGER) throw new Malformed('a number is too large')
    return [first >> 5, number]
  }

  private take(length: number): Uint8Array {
    if (length > this.data.length - this.position) throw new Malformed('a value is cut off')
    const start = this.position
    this.position += length
    return this.data.subarray(start, this.position)
  }

  private text(length: number): string {
    const bytes = this.take(length)
    try {
      return utf8.decode(bytes)
    } catch {
      throw new Malformed('a text is not UTF-8')
    }
  }

  private check(values: number, nesting: number): void {
    if (values > this.data.length - this.position) throw new Malformed('a value is cut off')
    if (nesting === MAX_NESTING) throw new Malformed('values nested too deep')
  }
}

/** The encoding of an array of byte strings and texts. */
export function encodeArray(values: (Uint8Array | string)[]): Uint8Array {
  return joined([head(4, values.length), ...values.map(encodeOne)])
}

/** The encoding of a map from 0, 1, 2 … to these values; fewer than 24. */
export function encodeMap(values: (Uint8Array | string | number)[]): Uint8Array {
  return joined([head(5, values.length), ...values.flatMap((value, key) => [head(0, key), encodeOne(value)])])
}

function encodeOne(value: Uint8Array | string | number): Uint8Array {
  if (typeof value === 'number') return head(0, value)
  const bytes = typeof value === 'string' ? encoder.encode(value) : value
  return joined([head(typeof value === 'string' ? 3 : 2, bytes.length), bytes])
}

/** Numbers, counts and lengths below 65,536. */
function head(kind: number, number: number): Uint8Array {
  if (number < 24) return Uint8Array.of((kind << 5) | number)
  if (number < 256) return Uint8Array.of((kind << 5) | 24, number)
  return Uint8Array.of((kind << 5) | 25, number >> 8, number & 255)
}
