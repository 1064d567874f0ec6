// Messages over a channel that is a stream (docs/bluetooth.md, "L2CAP"; gateway/core/stream.py). No I/O, no clock.
import { joined } from './octets'
import { PATIENCE_MS, SEALED_BYTES, SegmentError } from './segments'
import { Malformed, Reader, Writer } from './wire'

// A length takes no more.
const LENGTH_BYTES = 3

/** A message as it is sent. */
export function framed(message: Uint8Array): Uint8Array {
  return joined([new Writer().varint(message.length).done(), message])
}

/** What arrives, cut into messages. What the peer does wrong throws `SegmentError`; after that it is unusable. */
export class MessageStream {
  private parts: Uint8Array[] = []
  private held = 0
  private length: number | null = null
  private heard = 0

  push(data: Uint8Array, now: number): void {
    this.parts.push(data)
    this.held += data.length
    this.heard = now
  }

  /** The next message that is whole. */
  next(): Uint8Array | null {
    this.length ??= this.readLength()
    if (this.length === null || this.held < this.length) return null
    const all = joined(this.parts)
    const message = all.slice(0, this.length)
    this.keep(all.subarray(this.length))
    this.length = null
    return message
  }

  /** Throws when a message goes no further. */
  check(now: number): void {
    if ((this.held || this.length !== null) && now - this.heard >= PATIENCE_MS) throw new SegmentError(4408, 'a message that goes no further')
  }

  private readLength(): number | null {
    if (!this.held) return null
    const all = joined(this.parts)
    const reader = new Reader(all.subarray(0, LENGTH_BYTES))
    let length: number
    try {
      length = reader.varint()
    } catch (error) {
      if (all.length < LENGTH_BYTES && error instanceof Malformed) return null
      throw new SegmentError(4400, 'a length that cannot be read')
    }
    if (length === 0) throw new SegmentError(4400, 'an empty message')
    if (length > SEALED_BYTES) throw new SegmentError(1009, 'a message is too large')
    this.keep(all.subarray(reader.position))
    return length
  }

  private keep(rest: Uint8Array): void {
    this.parts = rest.length ? [rest] : []
    this.held = rest.length
  }
}
