// The SDK in a page whose navigator.bluetooth is a radio at the other end of standard input and output: this asks
//   {"ask": 1, "verb": "connect"}  read, subscribe (uuid), write (uuid, value, answered), disconnect
// and hears {"answer": 1, "value": …} or {"answer": 1, "error": "…"}, {"notified": uuid, "value": …}, {"disconnected": true}.
// Values are in hexadecimal digits. Commands are those of a device of a store (members.mjs).
import 'fake-indexeddb/auto'
import WebSocket from 'ws'
import { connect } from '../../web/client/dist/store-gateway.browser.js'
import { serveCommands } from './commands.mjs'
import { FakeBluetooth } from './web-bluetooth.mjs'

const [url] = process.argv.slice(2)
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const bytes = (text) => Uint8Array.from(Buffer.from(text, 'hex'))

let asked = 0
const waiting = new Map()
let connection = null

function ask(verb, details = {}) {
  process.stdout.write(JSON.stringify({ ask: ++asked, verb, ...details }) + '\n')
  return new Promise((resolve, reject) => waiting.set(asked, { resolve, reject }))
}

const radio = {
  connect: async () => {
    await ask('connect')
    const listeners = new Map()
    const own = (connection = {
      listeners,
      lost: () => {},
      read: async (uuid) => bytes(await ask('read', { uuid })),
      write: (uuid, value, answered) => ask('write', { uuid, value: hex(value), answered }),
      subscribe: (uuid, listener) => {
        listeners.set(uuid, listener)
        return ask('subscribe', { uuid })
      },
      onDisconnect: (listener) => { own.lost = listener },
      disconnect: () => void ask('disconnect').catch(() => {}),
    })
    return own
  },
}

function heard({ answer, error, value, notified, disconnected }) {
  if (disconnected) return connection?.lost()
  if (notified) return connection?.listeners.get(notified)?.(bytes(value))
  const { resolve, reject } = waiting.get(answer)
  waiting.delete(answer)
  if (error) reject(Object.assign(new Error(error), { name: 'NetworkError' }))
  else resolve(value)
}

Object.defineProperty(globalThis, 'navigator', { value: { bluetooth: new FakeBluetooth(radio, () => 'gateway') }, configurable: true })
// A network that may die: nothing arrives any more, and nobody says so.
let isDead = false
class Mortal extends WebSocket {
  constructor(...values) {
    super(...values)
    this.isStale = isDead
  }
  emit(name, ...values) {
    this.isStale ||= isDead
    return this.isStale && ['open', 'message', 'close', 'error'].includes(name) ? true : super.emit(name, ...values)
  }
  send(data, ...values) {
    this.isStale ||= isDead
    if (!this.isStale) super.send(data, ...values)
  }
  close() {
    if (!this.isStale) super.close()
  }
}

const told = []
let store
function start() {
  store = connect({ url, bluetooth: true, name: 'Tablet 1', app: 'kiosk', WebSocket: Mortal })
  store.on('link', (state, reason) => told.push(store.via ?? `${state} ${reason}`.trim()))
}
start()

serveCommands({
  network: ({ works }) => { isDead = !works },
  refusals: () => store.refusals,
  choose: () => store.chooseBluetooth(),
  // Null, or why this device was not paired.
  pair: ({ code }) => store.pair(code).then(() => null, (error) => `${error.name}: ${error.message}`),
  state: () => ({ link: store.link, via: store.via, paired: store.paired, needsPairing: store.needsPairing }),
  told: () => told.splice(0),
  put: ({ name, fields }) => {
    for (const [key, value] of Object.entries(fields)) store.doc(name).getMap('map').set(key, value)
  },
  read: ({ name }) => store.doc(name).getMap('map').toJSON(),
  saved: () => store.whenSaved().then(() => true),
  restart: async () => {
    await store.destroy()
    start()
  },
}, heard)
