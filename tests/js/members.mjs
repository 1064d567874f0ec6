// The SDK as a device of a store, told what to do by JSON lines: pairing, and what becomes of it.
import 'fake-indexeddb/auto'
import WebSocket from 'ws'
import { connect, decode, Malformed } from '../../web/client/dist/store-gateway.browser.js'
import { serveCommands } from './commands.mjs'

let [url, pace] = process.argv.slice(2)
if (pace === 'hurried') {
  // What waits a minute waits a second.
  const { setTimeout } = globalThis
  globalThis.setTimeout = (callback, ms, ...rest) => setTimeout(callback, ms >= 60_000 ? ms / 60 : ms, ...rest)
}
let store
let links = 0
// Of each link message that came: the record it begins with, if somebody in the network could read it.
let heard = []
class Watched extends WebSocket {
  constructor(url) {
    super(url)
    links++
    heard = []
    this.on('message', (data) => heard.push(readable(new Uint8Array(data))))
  }
}

function readable(data) {
  try {
    return decode(data)[0]?.type ?? 'sealed'
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
    return 'sealed'
  }
}

let window
const state = ({ link, paired, needsPairing }) => ({ link, paired, needsPairing, links })
const start = () => { store = connect({ url, name: 'Till 3', app: 'kiosk', WebSocket: Watched }) }
start()

serveCommands({
  // Null, or why this device was not paired.
  pair: ({ code }) => store.pair(code).then(() => null, (error) => `${error.name}: ${error.message}`),
  state: () => state(store),
  // Another window of the same device.
  window: () => void (window = connect({ url, WebSocket: Watched })),
  windowState: () => state(window),
  heard: () => heard,
  put: ({ name, fields }) => {
    for (const [key, value] of Object.entries(fields)) store.doc(name).getMap('order').set(key, value)
  },
  read: ({ name }) => store.doc(name).getMap('order').toJSON(),
  saved: () => store.whenSaved().then(() => true),
  refusals: () => store.refusals,
  // A new start of the app, at another address if one is given.
  restart: async ({ at }) => {
    url = at ?? url
    await store.destroy()
    links = 0
    start()
  },
})
