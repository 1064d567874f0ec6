// Messages over a channel that takes 20 to 512 bytes at a time (docs/bluetooth.md, "Segments"). gateway/core/segments.py is the
// same in Python and says why; tests/vectors/segments.json holds for both. No I/O, no clock.
import { Malformed, Reader, Writer } from './wire'

export const MIN_SEGMENT_BYTES = 20
export const MAX_SEGMENT_BYTES = 512
/** The longest batch, sealed. */
export const SEALED_BYTES = 262_224
export const PATIENCE_MS = 15_000
const WINDOW = 16
const GRANT = WINDOW / 2
const CONGESTED_BYTES = 4_096

const SEQUENCE = 0x1f
const START = 0x20
const CREDITS = 0x40
// With START: the message that is open comes again, whole, by the other way.
const MOVED = 0x80
const NOTHING = new Uint8Array()

/** The link cannot go on; `code` is what the other side is told. */
export class SegmentError extends Error {
  constructor(readonly code: 4400 | 1009 | 4408, reason: string) {
    super(reason)
  }
}

/** Both directions of one link. What the peer does wrong throws `SegmentError`; after that it is unusable. */
export class Segments {
  /** Give no credits, as what was taken is too much already. */
  holding = false
  /** Whether MOVED was written, and received. */
  movedOut = false
  movedIn = false
  private moving = false
  private movedAt = 0
  private sending: Uint8Array[] = []
  private offset = 0
  private waiting = 0
  private sent = 0
  private received = 0
  private ours = WINDOW
  private theirs = WINDOW
  private owed = 0
  private message = NOTHING
  private filled = 0
  private stalledSince: number | null = null
  private heard = 0

  /** `segmentBytes`: what one write carries. `limitBytes`: the largest message that is taken. */
  constructor(private readonly segmentBytes: number, private readonly limitBytes = SEALED_BYTES) {
    if (!(segmentBytes >= MIN_SEGMENT_BYTES && segmentBytes <= MAX_SEGMENT_BYTES)) throw new RangeError('a segment has 20 to 512 bytes')
  }

  /** So much waits that the session should hold back: what comes next may be more urgent. */
  get congested(): boolean {
    return this.waiting > CONGESTED_BYTES
  }

  /** Send a message of 1 to 262,224 bytes after those before it; not once it moved. */
  send(message: Uint8Array): void {
    if (message.length === 0 || message.length > SEALED_BYTES) throw new RangeError('a message has 1 to 262,224 bytes')
    if (this.moving) throw new Error('this link moved')
    this.sending.push(message)
    this.waiting += message.length
  }

  /** Write MOVED and nothing after it. The messages that did not go whole: they go by the other way, before all others. */
  move(): Uint8Array[] {
    if (this.moving) throw new Error('this link moved')
    const rest = this.sending
    this.sending = []
    this.waiting = 0
    this.stalledSince = null
    this.moving = true
    return rest
  }

  /** The next write, if there is one and the peer has room for it; `now` in milliseconds. */
  next(now: number): Uint8Array | null {
    if (this.moving) return this.moveOut(now)
    const hasData = this.sending.length > 0 && this.ours > 0
    if (this.sending.length > 0 && !hasData) this.stalledSince ??= now
    const owed = this.holding ? 0 : this.owed
    if (!hasData && owed < GRANT) return null
    const starts = hasData && this.offset === 0
    const head = new Writer().raw(Uint8Array.of(this.nextSequence() | (owed ? CREDITS : 0) | (starts ? START : 0)))
    if (owed) head.raw(Uint8Array.of(owed))
    this.theirs += owed
    this.owed -= owed
    if (starts) head.varint(this.sending[0].length)
    const start = head.done()
    return hasData ? new Writer().raw(start).raw(this.data(this.segmentBytes - start.length)).done() : start
  }

  /** Take what the peer wrote; a message that is whole now. */
  receive(segment: Uint8Array, now: number): Uint8Array | null {
    try {
      return this.take(new Reader(segment), now)
    } catch (error) {
      if (error instanceof Malformed) throw new SegmentError(4400, error.message)
      throw error
    }
  }

  /** Throws when a message goes no further, in either direction. */
  check(now: number): void {
    const since = [this.filled < this.message.length ? this.heard : now, this.stalledSince ?? now]
    if (this.movedIn !== this.movedOut) since.push(this.movedAt)
    if (now - Math.min(...since) >= PATIENCE_MS) throw new SegmentError(4408, 'a message that goes no further')
  }

  private nextSequence(): number {
    const sequence = this.sent
    this.sent = (this.sent + 1) & SEQUENCE
    return sequence
  }

  private moveOut(now: number): Uint8Array | null {
    if (this.movedOut) return null
    this.movedOut = true
    this.movedAt = now
    return Uint8Array.of(MOVED | (this.offset ? START : 0) | this.nextSequence())
  }

  private data(room: number): Uint8Array {
    const message = this.sending[0]
    const data = message.subarray(this.offset, this.offset + room)
    this.offset += data.length
    this.waiting -= data.length
    this.ours -= 1
    if (this.offset === message.length) {
      this.sending.shift()
      this.offset = 0
    }
    return data
  }

  private take(segment: Reader, now: number): Uint8Array | null {
    const [header] = segment.take(1)
    const isMoved = (header & (MOVED | CREDITS)) === MOVED && segment.left === 0
    if (this.movedIn || (header & MOVED && !isMoved)) throw new Malformed('this is no segment')
    if ((header & SEQUENCE) !== this.received) throw new Malformed('a segment is missing, doubled or out of order')
    this.received = (this.received + 1) & SEQUENCE
    this.heard = now
    if (isMoved) return this.moveIn((header & START) !== 0, now)
    if (header & CREDITS) this.credited(segment.take(1)[0])
    if (header & START) this.begin(segment.varint())
    if (segment.left > 0) return this.add(segment.rest())
    if (header & START || !(header & CREDITS)) throw new Malformed('a segment without anything in it')
    return null
  }

  private moveIn(again: boolean, now: number): null {
    if (again !== this.filled < this.message.length) throw new Malformed('a message that was not whole when the peer moved')
    this.message = NOTHING
    this.filled = 0
    this.movedIn = true
    this.movedAt = now
    return null
  }

  private credited(granted: number): void {
    this.ours += granted
    if (granted === 0 || this.ours > WINDOW) throw new Malformed('credits for what was not sent')
    this.stalledSince = null
  }

  private begin(length: number): void {
    if (this.filled < this.message.length) throw new Malformed('a message begins inside another')
    if (length > this.limitBytes) throw new SegmentError(1009, 'a message is too large')
    this.message = new Uint8Array(length)
    this.filled = 0
  }

  private add(data: Uint8Array): Uint8Array | null {
    if (this.theirs === 0) throw new Malformed('a segment without a credit')
    if (data.length > this.message.length - this.filled) throw new Malformed('more than the message was to hold')
    this.theirs -= 1
    this.owed += 1
    this.message.set(data, this.filled)
    this.filled += data.length
    if (this.filled < this.message.length) return null
    const whole = this.message
    this.message = NOTHING
    this.filled = 0
    return whole
  }
}
