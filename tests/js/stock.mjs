// The stock y-websocket client, many documents, told what to do by JSON lines.
import WebSocket from 'ws'
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'
import { serveCommands } from './commands.mjs'
import { edits, random } from './edits.mjs'

process.setMaxListeners(0)  // One provider a document, each with an exit handler.
const [url] = process.argv.slice(2)
const { digest, edit } = edits(Y)
const docs = new Map()
const closes = []

function open(name) {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(url, name, doc, {
    WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 500,
  })
  provider.on('connection-close', (event) => {
    if (event && event.code > 4000) closes.push([event.code, String(event.reason)])
  })
  docs.set(name, { doc, provider })
}

const all = () => [...docs.values()]

serveCommands({
  open: ({ names }) => names.forEach(open),
  synced: () => Promise.all(all().map(({ provider }) => provider.synced ||
    new Promise((resolve) => provider.on('sync', (is) => is && resolve())))).then(() => true),
  isSynced: () => all().every(({ provider }) => provider.synced),
  edit: ({ seed, count }) => {
    const pick = random(seed)
    for (const { doc } of all()) edit(doc, pick, count)
  },
  offline: () => all().forEach(({ provider }) => provider.disconnect()),
  online: () => all().forEach(({ provider }) => provider.connect()),
  digests: () => Object.fromEntries([...docs].map(([name, { doc }]) => [name, digest(doc)])),
  setState: ({ state }) => all().forEach(({ provider }) => provider.awareness.setLocalState(state)),
  present: () => all().map(({ provider }) => [...provider.awareness.getStates().values()]
    .filter((state) => state.name).map((state) => state.name).sort()),
  closes: () => closes,
})
