// The example adapters, over made-up versions of the two libraries.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { advance, settle } from './clock.mjs'
import { Gateway } from './gatt.mjs'
import { source } from './source.mjs'

const { BluetoothTransport, SERVICE } = await source('bluetooth', 'opening')
const octets = (length) => Uint8Array.from({ length }, (_, place) => place & 0xff)
const base64 = (bytes) => Buffer.from(bytes).toString('base64')
const unbase64 = (text) => Uint8Array.from(Buffer.from(text, 'base64'))
const view = (bytes) => new DataView(bytes.slice().buffer)
const seen = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

let copies = 0
/** An example whose library is `globalThis.library`. */
async function example(name, library) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url))], bundle: true, format: 'esm', write: false,
    plugins: [{
      name: 'library',
      setup(build) {
        build.onResolve({ filter: /ble-plx|bluetooth-le/ }, () => ({ path: 'library', namespace: 'library' }))
        build.onLoad({ filter: /.*/, namespace: 'library' }, () => ({ contents: 'module.exports = globalThis.library' }))
      },
    }],
  })
  globalThis.library = library
  // Another text each time, as the same one would keep its library.
  return import('data:text/javascript;base64,' + base64(`${outputFiles[0].text}//${copies++}`))
}

/** `listener` takes the name of each advertisement that is heard. */
class Air {
  gateway = Object.assign(new Gateway(), { mtu: 185, message: (connection, message) => connection.send(message) })
  listener = null
  scan(services, listener) {
    assert.deepEqual(services, [SERVICE])
    this.listener = listener
  }
  stop() {
    this.listener = null
  }
  async connect() {
    return (this.connection = await this.gateway.connect(SERVICE))
  }
}

function reactNative(air) {
  const device = (data) => ({
    id: 'AA', mtu: air.gateway.mtu, localName: data,
    discoverAllServicesAndCharacteristics: async () => device(),
    cancelConnection: async () => void air.connection.disconnect(),
    onDisconnected: (listener) => { air.connection.onDisconnect(() => listener(null)); return { remove() {} } },
    readCharacteristicForService: async (service, uuid) => ({ value: base64(await air.connection.read(uuid)) }),
    writeCharacteristicWithResponseForService: (service, uuid, value) => air.connection.write(uuid, unbase64(value), true),
    writeCharacteristicWithoutResponseForService: (service, uuid, value) => air.connection.write(uuid, unbase64(value), false),
    monitorCharacteristicForService: (service, uuid, listener) => void air.connection.subscribe(uuid, (value) => listener(null, { value: base64(value) })),
  })
  class BleManager {
    async startDeviceScan(services, options, listener) { air.scan(services, (data) => listener(null, device(data))) }
    async stopDeviceScan() { air.stop() }
    async connectToDevice() { await air.connect(); return device() }
  }
  return { BleManager }
}

function capacitor(air) {
  return { BleClient: {
    initialize: async () => {},
    requestLEScan: async ({ services }, callback) =>
      air.scan(services, (data) => callback({ device: { deviceId: 'AA' }, localName: data ?? undefined })),
    stopLEScan: async () => air.stop(),
    connect: async (device, lost) => (await air.connect()).onDisconnect(lost),
    getMtu: async () => air.gateway.mtu,
    read: async (device, service, uuid) => view(await air.connection.read(uuid)),
    write: (device, service, uuid, value) => air.connection.write(uuid, seen(value), true),
    writeWithoutResponse: (device, service, uuid, value) => air.connection.write(uuid, seen(value), false),
    startNotifications: (device, service, uuid, callback) => air.connection.subscribe(uuid, (value) => callback(view(value))),
    disconnect: async () => air.connection.disconnect(),
  } }
}

for (const [name, library, Adapter] of [['react-native', reactNative, 'ReactNativeBluetooth'], ['capacitor', capacitor, 'CapacitorBluetooth']]) {
  test(`${name}: waits for who is wanted, talks, is told when it is over`, async () => {
    const air = new Air()
    const adapter = new (await example(name, library(air)))[Adapter]()
    const messages = []
    const closed = []
    const events = { opened() {}, message: (data) => messages.push(data), room() {}, closed: (...values) => closed.push(values) }
    const transport = new BluetoothTransport(adapter, (name) => name === 'wanted')
    const link = transport.open(events)
    await settle()
    for (const data of [null, 'another', 'wanted']) {
      assert.equal(air.gateway.connections.length, 0)
      air.listener(data)
      await settle()
    }
    assert.equal(air.listener, null, 'the scan is over')
    assert.equal(air.gateway.link.takes, 182)
    link.send(octets(5_000))
    await settle()
    assert.deepEqual(messages, [octets(5_000)])
    air.gateway.vanish()
    assert.equal(closed.length, 1)
    const next = transport.open(events)
    await settle()
    air.listener('wanted')
    await settle()
    next.close()
    await advance(100)
    assert.deepEqual([air.gateway.open.length, closed.length], [0, 2])
    transport.open(events).abandon()
    await settle()
    assert.equal(air.listener, null, 'nobody is looked for any more')
    await assert.rejects(adapter.connect(SERVICE, { isWanted: () => true, signal: AbortSignal.abort() }))
    assert.equal(air.listener, null, 'nobody was looked for')
  })
}

test('capacitor: a permission that was refused is asked for again, and a connection without an MTU ended', async () => {
  const air = new Air()
  const library = capacitor(air)
  const { initialize } = library.BleClient
  library.BleClient.initialize = async () => { throw new Error('refused') }
  const adapter = new (await example('capacitor', library)).CapacitorBluetooth()
  const connect = async () => {
    const connecting = adapter.connect(SERVICE, { isWanted: () => true, signal: new AbortController().signal })
    connecting.catch(() => {})
    await settle()
    air.listener?.('wanted')
    await settle()
    return connecting
  }
  await assert.rejects(connect(), /refused/)
  Object.assign(library.BleClient, { initialize, getMtu: async () => { throw new Error('no MTU') } })
  await assert.rejects(connect(), /no MTU/)
  await settle()
  assert.equal(air.gateway.open.length, 0)
})
