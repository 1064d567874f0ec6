// The fingerprint of a document: state vector and delete set in canonical form
// (gateway/core/fingerprint.py; cases in tests/vectors/fingerprint.json).
import { digest } from 'lib0/hash/sha256'
import * as Y from 'yjs'
import { Writer } from './wire'

export function canonical(doc: Y.Doc): Uint8Array {
  const { sv, ds } = Y.snapshot(doc)
  const clients = [...sv].filter(([, clock]) => clock > 0).sort(([a], [b]) => a - b)
  const writer = new Writer().varint(clients.length)
  for (const [client, clock] of clients) {
    const ranges = merged(ds.clients.get(client) ?? [])
    writer.varint(client).varint(clock).varint(ranges.length)
    for (const [start, end] of ranges) writer.varint(start).varint(end - start)
  }
  return writer.done()
}

export function fingerprint(doc: Y.Doc): Uint8Array {
  return digest(canonical(doc)).slice(0, 16)
}

function merged(items: { clock: number; len: number }[]): [number, number][] {
  const result: [number, number][] = []
  for (const { clock, len } of [...items].sort((a, b) => a.clock - b.clock)) {
    const last = result[result.length - 1]
    if (last && clock <= last[1]) last[1] = Math.max(last[1], clock + len)
    else result.push([clock, clock + len])
  }
  return result
}
