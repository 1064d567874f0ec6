// The mesh protocol's records (docs/protocol.md): bytes to values and back, strictly.

export type Pairs = [string, string][]

export type Message =
  | { type: 'HELLO'; lowest: number; highest: number; peer: Uint8Array; features: number; message_bytes: number; about: Pairs }
  | { type: 'AUTH'; method: number; credential: Uint8Array }
  | { type: 'GRANT'; grants: [string, number][] }
  | { type: 'GOODBYE'; code: number; reason: string; retry_ms: number }
  | { type: 'PING'; nonce: number }
  | { type: 'PONG'; nonce: number }
  | { type: 'OPEN'; handle: number; document: string; state_vector: Uint8Array }
  | { type: 'DIFF'; handle: number; flags: number; fingerprint: Uint8Array; update: Uint8Array }
  | { type: 'UPDATE'; handle: number; update: Uint8Array }
  | { type: 'CLOSE'; handle: number }
  | { type: 'ACK'; number: number }
  | { type: 'REFUSE'; number: number; code: number; reason: string }
  | { type: 'DENY'; document: string; code: number; reason: string }
  | { type: 'AWARENESS'; handle: number; payload: Uint8Array }
  | { type: 'STALE'; handle: number }
  | { type: 'SUBSCRIBE'; subscription: number; collection: string; selector: string }
  | { type: 'UNSUBSCRIBE'; subscription: number }
  | { type: 'RECONCILE'; exchange: number; ranges: Uint8Array }
  | { type: 'PEERS'; entries: PeerEntry[] }
  | { type: 'NOISE'; pattern: number; message: Uint8Array }
  | { type: 'MEMBER'; method: number; credential: Uint8Array }
  | { type: 'TICKET'; credential: Uint8Array; root: Uint8Array }
  | { type: 'REVOKED'; entry: Uint8Array }
  | { type: 'DIGEST'; revocations: Uint8Array }
  | { type: 'DEFLATED'; batch: Uint8Array }
  | { type: 'STATE'; digest: Uint8Array }

export type PeerEntry = { peer: Uint8Array; role: number; via: Uint8Array; link: number; round_trip_ms: number; about: Pairs }

/** The peer sent bytes that are not this protocol; the link is closed with 4400. */
export class Malformed extends Error {}

export const MESSAGE_BYTES = 262_144
const MAX_RECORDS = 4_096
const MAX_VARINT = Number.MAX_SAFE_INTEGER
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

export class Writer {
  private parts: number[] = []
  varint(value: number): this {
    while (value > 0x7f) {
      this.parts.push((value % 128) | 0x80)
      value = Math.floor(value / 128)
    }
    this.parts.push(value)
    return this
  }
  raw(bytes: Uint8Array): this {
    for (const byte of bytes) this.parts.push(byte)
    return this
  }
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes)
  }
  string(text: string): this {
    return this.bytes(encoder.encode(text))
  }
  done(): Uint8Array {
    return Uint8Array.from(this.parts)
  }
}

export class Reader {
  position = 0
  constructor(readonly data: Uint8Array) {}
  get left(): number {
    return this.data.length - this.position
  }
  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      if (this.position >= this.data.length) throw new Malformed('a number is cut off')
      const byte = this.data[this.position++]
      value += (byte & 0x7f) * scale
      if (value > MAX_VARINT) throw new Malformed('a number is too large')
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw new Malformed('a number is not in its shortest form')
        return value
      }
      scale *= 128
      if (scale > MAX_VARINT) throw new Malformed('a number is too large')
    }
  }
  take(length: number): Uint8Array {
    if (length > this.left) throw new Malformed('a length goes beyond the end')
    const start = this.position
    this.position += length
    return this.data.subarray(start, this.position)
  }
  bytes(): Uint8Array {
    return this.take(this.varint())
  }
  string(): string {
    try {
      return utf8.decode(this.bytes())
    } catch (error) {
      if (error instanceof Malformed) throw error
      throw new Malformed('a text is not UTF-8')
    }
  }
  rest(): Uint8Array {
    return this.take(this.left)
  }
}

type Kind = 'varint' | 'string' | 'bytes' | 'rest' | 'pairs' | 'grants' | 'peers' | 'peer' | 'fingerprint' | 'digest' | 'state'
type Layout = readonly (readonly [string, Kind])[]

const LAYOUTS: Record<number, readonly [Message['type'], Layout]> = {
  1: ['HELLO', [['lowest', 'varint'], ['highest', 'varint'], ['peer', 'peer'], ['features', 'varint'], ['message_bytes', 'varint'], ['about', 'pairs']]],
  2: ['AUTH', [['method', 'varint'], ['credential', 'bytes']]],
  3: ['GRANT', [['grants', 'grants']]],
  4: ['GOODBYE', [['code', 'varint'], ['reason', 'string'], ['retry_ms', 'varint']]],
  5: ['PING', [['nonce', 'varint']]],
  6: ['PONG', [['nonce', 'varint']]],
  7: ['OPEN', [['handle', 'varint'], ['document', 'string'], ['state_vector', 'bytes']]],
  8: ['DIFF', [['handle', 'varint'], ['flags', 'varint'], ['fingerprint', 'fingerprint'], ['update', 'rest']]],
  9: ['UPDATE', [['handle', 'varint'], ['update', 'rest']]],
  10: ['CLOSE', [['handle', 'varint']]],
  11: ['ACK', [['number', 'varint']]],
  12: ['REFUSE', [['number', 'varint'], ['code', 'varint'], ['reason', 'string']]],
  13: ['DENY', [['document', 'string'], ['code', 'varint'], ['reason', 'string']]],
  14: ['AWARENESS', [['handle', 'varint'], ['payload', 'rest']]],
  15: ['STALE', [['handle', 'varint']]],
  16: ['SUBSCRIBE', [['subscription', 'varint'], ['collection', 'string'], ['selector', 'string']]],
  17: ['UNSUBSCRIBE', [['subscription', 'varint']]],
  18: ['RECONCILE', [['exchange', 'varint'], ['ranges', 'rest']]],
  19: ['PEERS', [['entries', 'peers']]],
  20: ['NOISE', [['pattern', 'varint'], ['message', 'rest']]],
  21: ['MEMBER', [['method', 'varint'], ['credential', 'bytes']]],
  22: ['TICKET', [['credential', 'bytes'], ['root', 'bytes']]],
  23: ['REVOKED', [['entry', 'rest']]],
  24: ['DIGEST', [['revocations', 'digest']]],
  25: ['DEFLATED', [['batch', 'rest']]],
  26: ['STATE', [['digest', 'state']]],
}
const NUMBERS = new Map(Object.entries(LAYOUTS).map(([number, [name, layout]]) => [name, [Number(number), layout] as const]))
const PEER_LAYOUT: Layout = [['peer', 'peer'], ['role', 'varint'], ['via', 'bytes'], ['link', 'varint'], ['round_trip_ms', 'varint'], ['about', 'pairs']]

function counted<T>(reader: Reader, most: number, read: () => T): T[] {
  const count = reader.varint()
  if (count > most) throw new Malformed('a list is too long')
  return Array.from({ length: count }, read)
}

function fixed(bytes: Uint8Array, ...lengths: number[]): Uint8Array {
  if (!lengths.includes(bytes.length)) throw new Malformed('a field has the wrong length')
  return bytes
}

function shorter(text: string, most: number): string {
  if (encoder.encode(text).length > most) throw new Malformed('a text is too long')
  return text
}

function readField(reader: Reader, kind: Kind): unknown {
  switch (kind) {
    case 'varint': return reader.varint()
    case 'string': return reader.string()
    case 'bytes': return reader.bytes()
    case 'rest': return reader.rest()
    case 'peer':
    case 'digest': return fixed(reader.bytes(), 16)
    case 'fingerprint': return fixed(reader.bytes(), 0, 16)
    case 'state': return fixed(reader.bytes(), 4)
    case 'pairs': return counted(reader, 16, () => [shorter(reader.string(), 64), shorter(reader.string(), 256)])
    case 'grants': return counted(reader, 256, () => [reader.string(), reader.varint()])
    case 'peers': return counted(reader, 1_000, () => readFields(reader, PEER_LAYOUT))
  }
}

function readFields(reader: Reader, layout: Layout): Record<string, unknown> {
  return Object.fromEntries(layout.map(([name, kind]) => [name, readField(reader, kind)]))
}

function writeField(writer: Writer, kind: Kind, value: any): void {
  if (kind === 'varint') writer.varint(value)
  else if (kind === 'string') writer.string(value)
  else if (kind === 'rest') writer.raw(value)
  else if (kind === 'pairs') {
    writer.varint(value.length)
    for (const [key, text] of value) writer.string(key).string(text)
  } else if (kind === 'grants') {
    writer.varint(value.length)
    for (const [pattern, rights] of value) writer.string(pattern).varint(rights)
  } else if (kind === 'peers') {
    writer.varint(value.length)
    for (const entry of value) for (const [name, inner] of PEER_LAYOUT) writeField(writer, inner, entry[name])
  } else writer.bytes(value)
}

/** One record with its length, ready to be joined into a message. */
export function encode(message: Message): Uint8Array {
  const [number, layout] = NUMBERS.get(message.type)!
  const body = new Writer().varint(number)
  for (const [name, kind] of layout) writeField(body, kind, (message as any)[name])
  return new Writer().bytes(body.done()).done()
}

/** The known records of one link message; throws Malformed. */
export function decode(data: Uint8Array): Message[] {
  const reader = new Reader(data)
  const messages: Message[] = []
  let records = 0
  while (reader.left) {
    const record = reader.bytes()
    if (!record.length || ++records > MAX_RECORDS) throw new Malformed('a record is empty, or there are too many')
    const inner = new Reader(record)
    const known = LAYOUTS[inner.varint()]
    if (known) messages.push({ type: known[0], ...readFields(inner, known[1]) } as Message)
  }
  if (!records) throw new Malformed('an empty message')
  return messages
}

/** Join framed records into as few messages of at most `limit` bytes as their order allows. */
export function batches(framed: Uint8Array[], limit: number): Uint8Array[] {
  const messages: Uint8Array[] = []
  let parts: Uint8Array[] = []
  let size = 0
  const flush = () => {
    if (!parts.length) return
    const message = new Uint8Array(size)
    let position = 0
    for (const part of parts) {
      message.set(part, position)
      position += part.length
    }
    messages.push(message)
    parts = []
    size = 0
  }
  for (const part of framed) {
    if (size + part.length > limit || parts.length === MAX_RECORDS) flush()
    parts.push(part)
    size += part.length
  }
  flush()
  return messages
}
