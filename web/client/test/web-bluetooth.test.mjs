// The adapter for navigator.bluetooth, in a page whose browser is made up.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { FakeBluetooth } from '../../../tests/js/web-bluetooth.mjs'
import { advance, settle } from './clock.mjs'
import { Gateway } from './gatt.mjs'
import { source } from './source.mjs'

const { BluetoothTransport, SERVICE, WebBluetooth } = await source('bluetooth', 'opening', 'web-bluetooth')
const octets = (length) => Uint8Array.from({ length }, (_, place) => place & 0xff)
const messages = (count) => Array.from({ length: count }, (_, place) => octets(100 * (place + 1)))

class Storage extends Map {
  getItem = (name) => this.get(name) ?? null
  setItem = (name, value) => void this.set(name, value)
}

let gateway
let chosen
beforeEach(() => {
  chosen = 'one'
  gateway = Object.assign(new Gateway(), { mtu: 185, knowsMtu: false, message: (connection, message) => connection.send(message) })
  globalThis.localStorage = new Storage()
})
afterEach(() => {
  delete globalThis.localStorage
  browser(undefined)
})

function browser(bluetooth) {
  Object.defineProperty(globalThis, 'navigator', { value: { bluetooth }, configurable: true })
}

function page(options) {
  const radio = { connect: (id) => { radio.device = id; return gateway.connect(SERVICE) } }
  return Object.assign(new FakeBluetooth(radio, () => chosen, options), { radio })
}

function call(adapter = new WebBluetooth(), isWanted = () => true) {
  const told = { adapter, messages: [], closed: [], opened: 0, transport: new BluetoothTransport(adapter, isWanted) }
  told.link = told.transport.open({
    opened: () => told.opened++, message: (data) => told.messages.push(data), room() {}, closed: (...values) => told.closed.push(values),
  })
  return told
}

test('a gateway is chosen, connected to and talked to', async () => {
  browser(page())
  assert.ok(WebBluetooth.available)
  const adapter = new WebBluetooth()
  await adapter.choose(SERVICE)
  const told = call(adapter)
  await settle()
  const sent = messages(20)
  for (const message of sent) told.link.send(message)
  for (let turns = 0; turns < 50; turns++) await settle()
  assert.deepEqual(told.messages, sent)
  assert.equal(gateway.link.takes, 0, 'a page cannot know')
  gateway.vanish()
  assert.equal(told.closed.length, 1)
  const again = call(adapter)
  await settle()
  assert.equal(again.opened, 1)
  again.link.close()
  await settle()
  assert.equal(gateway.open.length, 0)
})

test('without Bluetooth, without a choice, and with a browser that fails', async () => {
  browser(undefined)
  assert.ok(!WebBluetooth.available)
  await assert.rejects(new WebBluetooth().choose(SERVICE), { name: 'Unreached', message: /Chrome or Edge/ })
  let told = call()
  await settle()
  assert.match(told.closed[0][1], /Chrome or Edge/)
  browser(page())
  told = call()
  await settle()
  assert.match(told.closed[0][1], /chooseBluetooth/)
  chosen = null
  await assert.rejects(new WebBluetooth().choose(SERVICE), { name: 'Unreached', message: /no gateway was chosen/ })
  browser({ requestDevice: () => Promise.reject(Object.assign(new Error('Must be handling a user gesture'), { name: 'SecurityError' })) })
  await assert.rejects(new WebBluetooth().choose(SERVICE), { name: 'Unreached', message: /tap or click/ })
  const failing = (name, available) => browser({
    requestDevice: () => Promise.reject(Object.assign(new Error('in the words of the browser'), { name })), getAvailability: async () => available,
  })
  failing('NotFoundError', false)
  await assert.rejects(new WebBluetooth().choose(SERVICE), { name: 'Unreached', message: /turned off on this device/ })
  failing('NotFoundError', true)
  await assert.rejects(new WebBluetooth().choose(SERVICE), { name: 'Unreached', message: /no gateway was chosen/ })
  failing('NetworkError', true)
  await assert.rejects(new WebBluetooth().choose(SERVICE), { name: 'Unreached', message: 'in the words of the browser' })
})

test('after a reload the gateway is called that was chosen last, once it is heard and wanted', async () => {
  const first = page({ keepsGrants: true })
  browser(first)
  for (chosen of ['other', 'one']) await new WebBluetooth().choose(SERVICE)
  const again = first.reloaded()
  browser(again)
  const told = call(undefined, (name) => name === 'wanted')
  await settle()
  assert.equal(told.opened, 0)
  const device = again.granted.find(({ id }) => id === 'one')
  device.advertise('another')
  await settle()
  assert.equal(told.opened, 0, 'it is not wanted')
  device.advertise('wanted')
  await settle()
  assert.deepEqual([told.opened, first.radio.device, device.isWatched], [1, 'one', false])
  gateway.vanish()
  const next = call(told.adapter)
  await settle()
  assert.equal(next.opened, 1, 'it need not be heard again')
})

test('who is heard without a name is called, too', async () => {
  const first = page({ keepsGrants: true })
  browser(first)
  await new WebBluetooth().choose(SERVICE)
  const again = first.reloaded()
  browser(again)
  const told = call()
  await settle()
  again.granted[0].advertise()
  await settle()
  assert.equal(told.opened, 1)
})

test('a search is given up', async () => {
  const first = page({ keepsGrants: true })
  browser(first)
  await new WebBluetooth().choose(SERVICE)
  const again = first.reloaded()
  browser(again)
  const told = call()
  await settle()
  told.link.close()
  await settle()
  assert.deepEqual([told.closed.length, again.granted[0].isWatched], [1, false])
  await assert.rejects(new WebBluetooth().connect(SERVICE, { isWanted: () => true, signal: AbortSignal.abort() }), /nobody waits/)
  assert.ok(!again.granted[0].isWatched)
})

test('a page that may not keep anything takes what is granted', async () => {
  const first = page({ keepsGrants: true })
  browser(first)
  globalThis.localStorage.setItem = () => { throw new Error('QuotaExceededError') }
  await new WebBluetooth().choose(SERVICE)
  browser(first)
  const told = call()
  await settle()
  first.granted[0].advertise()
  await advance(100)
  assert.equal(told.opened, 1)
})
