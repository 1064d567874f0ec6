// The SDK, many documents over one link, told what to do by JSON lines.
import 'fake-indexeddb/auto'
import WebSocket from 'ws'
import { connect, decode, fingerprint, Y } from '../../web/client/dist/store-gateway.browser.js'
import { serveCommands } from './commands.mjs'
import { edits, random } from './edits.mjs'

const [url] = process.argv.slice(2)
const { digest, edit } = edits(Y)
let names = []
let store
let live
const changes = []
// What went over the last link: bytes, documents that were opened, turns of exchanges.
let traffic
class Recorded extends WebSocket {
  constructor(url) {
    super(url)
    traffic = { sent: 0, received: 0, opened: [], turns: 0 }
    this.on('message', (data) => this.note('received', new Uint8Array(data)))
  }
  send(data) {
    this.note('sent', data)
    super.send(data)
  }
  note(direction, data) {
    traffic[direction] += data.length
    for (const { type, document } of decode(data)) {
      if (type === 'OPEN' && !traffic.opened.includes(document)) traffic.opened.push(document)
      if (type === 'RECONCILE') traffic.turns++
    }
  }
}
const start = () => { store = connect({ url, app: 'test', WebSocket: Recorded }) }
start()

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const mark = (name) => new Promise((resolve, reject) => {
  const request = indexedDB.open(`store-gateway/${name}`)
  request.onerror = reject
  request.onsuccess = () => {
    const { result } = request
    const reading = result.transaction(['custom'], 'readonly').objectStore('custom').get('saved-fingerprint')
    reading.onerror = reject
    reading.onsuccess = () => { result.close(); resolve(reading.result) }
  }
})

serveCommands({
  open: async ({ names: wanted }) => {
    names = wanted
    for (const name of names) store.doc(name)
    await Promise.all(names.map((name) => store.whenLoaded(name)))
  },
  synced: () => Promise.all(names.map((name) => store.whenSynced(name))).then(() => true),
  saved: () => store.whenSaved().then(() => true),
  // Why it will not be saved, or null: once it is, or something ends the wait.
  unsaved: ({ name, then }) => {
    const waiting = store.whenSaved(name).then(() => null, (error) => `${error.name}: ${error.message}`)
    if (then === 'release') store.release(name)
    if (then === 'end') store.destroy()
    return waiting
  },
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
  contents: () => Object.fromEntries([...live.documents].map(([name, doc]) => [name, doc.getMap('order').toJSON()])),
  liveStates: () => [...new Set([...live.documents.keys()].map((name) => store.state(name)))],
  read: ({ name }) => store.doc(name).getMap('order').toJSON(),
  // What is saved is noted beside each copy, so that it is known at the next start.
  marked: async () => {
    const marks = await Promise.all([...live.documents].map(async ([name, doc]) => [await mark(name), hex(fingerprint(doc))]))
    return marks.every(([noted, print]) => noted === print)
  },
  traffic: () => ({ ...traffic, opened: [...traffic.opened].sort() }),
  putAll: ({ documents }) => {
    for (const [name, fields] of Object.entries(documents)) {
      for (const [key, value] of Object.entries(fields)) store.doc(name).getMap('order').set(key, value)
    }
  },
  // The browser took copies away while the app was not running.
  evict: async ({ copies }) => {
    await store.destroy()
    await Promise.all(copies.map((name) => new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase(`store-gateway/${name}`)
      request.onsuccess = resolve
      request.onerror = request.onblocked = reject
    })))
    start()
  },
  changes: () => changes.splice(0),
  copies: async () => (await indexedDB.databases()).map(({ name }) => name).filter((name) => name.startsWith('store-gateway/')).sort(),
  states: () => names.map((name) => store.state(name)),
  link: () => store.link,
  refusals: () => store.refusals,
  setState: ({ state }) => names.forEach((name) => store.awareness(name).setLocalState(state)),
  present: () => names.map((name) => [...store.awareness(name).getStates().values()]
    .filter((state) => state.name).map((state) => state.name).sort()),
  digests: () => Object.fromEntries(names.map((name) => [name, digest(store.doc(name))])),
})
