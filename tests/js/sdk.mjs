// The SDK, many documents over one link, told what to do by JSON lines.
import 'fake-indexeddb/auto'
import WebSocket from 'ws'
import { connect, Y } from '../../web/client/dist/store-gateway.browser.js'
import { serveCommands } from './commands.mjs'
import { edits, random } from './edits.mjs'

const [url] = process.argv.slice(2)
const { digest, edit } = edits(Y)
let names = []
let store
let live
const changes = []
const start = () => { store = connect({ url, app: 'test', WebSocket }) }
start()

serveCommands({
  open: async ({ names: wanted }) => {
    names = wanted
    for (const name of names) store.doc(name)
    await Promise.all(names.map((name) => store.whenLoaded(name)))
  },
  synced: () => Promise.all(names.map((name) => store.whenSynced(name))).then(() => true),
  saved: () => store.whenSaved().then(() => true),
  edit: ({ seed, count }) => {
    const pick = random(seed)
    for (const name of names) edit(store.doc(name), pick, count)
  },
  // A new start of the app: only what the local database kept is left.
  restart: async () => {
    await store.destroy()
    start()
    for (const name of names) store.doc(name)
    await Promise.all(names.map((name) => store.whenLoaded(name)))
  },
  paste: ({ bytes }) => names.forEach((name) => store.doc(name).getMap('map').set('large', 'x'.repeat(bytes))),
  put: ({ name, fields }) => {
    const map = store.doc(name).getMap('order')
    for (const [key, value] of Object.entries(fields)) map.set(key, value)
  },
  subscribe: async ({ collection, selector }) => {
    live = store.subscribe(collection, selector)
    live.on((change) => changes.push(change))
    await live.whenLoaded
  },
  select: ({ selector }) => live.select(selector),
  unsubscribe: () => live.close(),
  matching: () => [...live.documents.keys()].sort(),
  change: ({ name, fields }) => {
    const map = live.documents.get(name).getMap('order')
    for (const [key, value] of Object.entries(fields)) map.set(key, value)
  },
  changes: () => changes.splice(0),
  copies: async () => (await indexedDB.databases()).map(({ name }) => name).sort(),
  states: () => names.map((name) => store.state(name)),
  link: () => store.link,
  refusals: () => store.refusals,
  setState: ({ state }) => names.forEach((name) => store.awareness(name).setLocalState(state)),
  present: () => names.map((name) => [...store.awareness(name).getStates().values()]
    .filter((state) => state.name).map((state) => state.name).sort()),
  digests: () => Object.fromEntries(names.map((name) => [name, digest(store.doc(name))])),
})
