// The stock y-websocket client in a page; the test calls `api`.
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'
import { edits, random } from './edits.mjs'

const { digest, edit } = edits(Y)
const docs = new Map()

window.api = {
  open(url, names) {
    for (const name of names) {
      const doc = new Y.Doc()
      docs.set(name, { doc, provider: new WebsocketProvider(url, name, doc, { disableBc: true, maxBackoffTime: 500 }) })
    }
  },
  synced: () => [...docs.values()].every(({ provider }) => provider.synced),
  edit(seed, count) {
    const pick = random(seed)
    for (const { doc } of docs.values()) edit(doc, pick, count)
  },
  digests: () => Object.fromEntries([...docs].map(([name, { doc }]) => [name, digest(doc)])),
}
