// Large updates cut into several that each fit a message; merged again they are the same.
import { writeVarUint } from 'lib0/encoding'
import * as Y from 'yjs'

const HEAD_BYTES = 32

export function splitUpdate(update: Uint8Array, limit: number): Uint8Array[] {
  if (update.length <= limit) return [update]
  const { structs, ds } = Y.decodeUpdate(update)
  const parts: Uint8Array[] = []
  let run: typeof structs = []
  let size = 0
  const flush = () => {
    if (run.length) parts.push(written(run))
    run = []
    size = 0
  }
  for (const struct of structs) {
    const cost = written([struct]).length + HEAD_BYTES
    if (run.length && size + cost > limit) flush()
    run.push(struct)
    size += cost
  }
  flush()
  if (ds.clients.size) parts.push(deletions(ds))
  return parts
}

function written(structs: any[]): Uint8Array {
  const encoder = new Y.UpdateEncoderV1()
  const clients: any[][] = []
  for (const struct of structs) {
    const last = clients[clients.length - 1]
    if (last && last[0].id.client === struct.id.client) last.push(struct)
    else clients.push([struct])
  }
  const write = varintWriter(encoder)
  write(clients.length)
  for (const list of clients) {
    write(list.length)
    write(list[0].id.client)
    write(list[0].id.clock)
    for (const struct of list) struct.write(encoder, 0)
  }
  write(0)
  return encoder.toUint8Array()
}

function deletions(ds: any): Uint8Array {
  const encoder = new Y.UpdateEncoderV1()
  const write = varintWriter(encoder)
  write(0)
  write(ds.clients.size)
  for (const [client, ranges] of ds.clients) {
    write(client)
    write(ranges.length)
    for (const { clock, len } of ranges) {
      write(clock)
      write(len)
    }
  }
  return encoder.toUint8Array()
}

function varintWriter(encoder: Y.UpdateEncoderV1): (value: number) => void {
  // In v1 client ids, clocks and counts are all plain varints.
  return (value) => writeVarUint(encoder.restEncoder, value)
}
