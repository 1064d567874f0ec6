// Deflating what is said over a slow link: raw deflate (RFC 1951) with a preset dictionary, each batch by itself (docs/protocol.md,
// DEFLATED; gateway/core/packing.py). No I/O.
import { deflateSync, Inflate } from 'fflate'
import { DICTIONARY } from './dictionary'
import { joined } from './octets'

const LEVEL = 6
// One byte may stand for 1,032: no more than a megabyte is made before the limit is looked at.
const PIECE_BYTES = 1_024

/** What was packed cannot be read; `code` is what the other side is told. */
export class PackedError extends Error {
  constructor(readonly code: 4400 | 1009, reason: string) {
    super(reason)
  }
}

/** The deflated form; it may be longer than `plain`. */
export function pack(plain: Uint8Array): Uint8Array {
  return deflateSync(plain, { dictionary: DICTIONARY, level: LEVEL })
}

/** What was packed, of which there are at most `limit` bytes. Throws `PackedError`. What follows its end is skipped. */
export function unpack(packed: Uint8Array, limit: number): Uint8Array {
  const parts: Uint8Array[] = []
  let made = 0
  const inflate = new Inflate({ dictionary: DICTIONARY }, (part) => {
    made += part.length
    if (made > limit) throw new PackedError(1009, 'packed records are too large')
    parts.push(part)
  })
  try {
    for (let place = 0; place < packed.length; place += PIECE_BYTES) {
      inflate.push(packed.subarray(place, place + PIECE_BYTES), place + PIECE_BYTES >= packed.length)
    }
  } catch (error) {
    if (error instanceof PackedError) throw error
    throw new PackedError(4400, 'packed records are damaged')
  }
  return joined(parts)
}
