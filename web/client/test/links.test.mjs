// A store with two ways to its gateway: which carries the documents, what happens when one dies, and how a device is paired by Bluetooth.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import { IDBFactory } from 'fake-indexeddb'
import { advance, settle } from './clock.mjs'
import { Gateway } from './gatt.mjs'
import { byBluetooth, Mesh, network } from './mesh.mjs'
import { source } from './source.mjs'
import { gatewayPeer, made } from './stores.mjs'

const { connect, encode, Identity, isOfStore, pairingPsk, Revocations } =
  await source('store', 'identity', 'beacon', 'pairing-code', 'revocations', 'wire')
const ours = made(10)
const CODE = '9V3ZK-0TQ4C-ABCDE-FGHJK'
const URL = 'ws://gateway.local:8787'

let stores = []
beforeEach(() => { globalThis.indexedDB = new IDBFactory() })
afterEach(async () => {
  for (const store of stores.splice(0)) store.destroy()
  await advance(3_000)
  delete globalThis.navigator
})

/** A gateway of our store, by both ways. */
function gateway() {
  const mesh = new Mesh(ours, { peer: gatewayPeer, psk: pairingPsk(CODE) })
  return { mesh, net: network(mesh), air: byBluetooth(mesh, new Gateway()) }
}

async function paired() {
  const identity = await Identity.load()
  const credential = ours.credentialOf(identity.keys.noise.public, identity.peer)
  await identity.gain({ root: ours.root, credential, revocations: new Revocations(ours.root) })
  identity.close()
}

/** A device; `told` are the states of its link. */
async function device(options) {
  const store = connect({ app: 'till', offline: false, random: () => 0.5, ...options })
  stores.push(store)
  const told = []
  store.on('link', (state, reason) => told.push(store.via ?? state, ...(reason ? [reason] : [])))
  await settle()
  return { store, told, put: (name, key, value) => store.doc(name).getMap('order').set(key, value) }
}

/** All clocks that were written to the gateway, and that none was written twice. */
function written(mesh) {
  const all = mesh.heard.flatMap(({ updates }) => updates.flat()).flatMap(([client, clock, length]) => Array.from({ length }, (_, more) => `${client}/${clock + more}`))
  assert.equal(new Set(all).size, all.length, 'nothing comes twice')
  return all.length
}

test('an address that the page may not open leaves the other way as it is', async () => {
  await paired()
  const { mesh, air } = gateway()
  class Forbidding { constructor() { throw new DOMException('An insecure WebSocket connection may not be initiated', 'SecurityError') } }
  const { store, put } = await device({ url: URL, WebSocket: Forbidding, bluetooth: air })
  put('orders/1', 'table', 4)
  await advance(5_000)
  assert.equal(store.via, 'bluetooth')
  assert.deepEqual(mesh.read('orders/1'), { table: 4 })
  const alone = await device({ url: URL, WebSocket: Forbidding })
  await advance(1_000)
  assert.equal(alone.store.link, 'offline')
  assert.ok(alone.told.some((reason) => reason.includes('wss://')))
})

test('by Bluetooth alone: let in, everything goes there and is saved', async () => {
  await paired()
  const { mesh, air } = gateway()
  mesh.doc('orders/1').getMap('order').set('dish', 'soup')
  const { store, told, put } = await device({ bluetooth: air })
  put('orders/1', 'table', 4)
  await store.whenSaved()
  await store.whenSynced('orders/1')
  assert.deepEqual([store.via, told], ['bluetooth', ['bluetooth']])
  assert.deepEqual(mesh.read('orders/1'), { dish: 'soup', table: 4 })
  mesh.change('orders/1', 'dish', 'stew')
  await settle()
  assert.equal(store.doc('orders/1').getMap('order').get('dish'), 'stew')
  assert.equal(mesh.heard[0].types[0], 'NOISE 3', 'it was not met before')
  air.vanish()
  await advance(1_000)
  assert.equal(mesh.heard[1].types[0], 'NOISE 0', 'and now it was')
  assert.equal(store.via, 'bluetooth')
})

test('large batches are deflated by Bluetooth, both ways, and not in the LAN', async () => {
  await paired()
  const { mesh, air, net } = gateway()
  const { store, put } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket })
  await advance(100)
  put('orders/1', 'text', 'no onions '.repeat(50))
  await advance(1_000)
  assert.equal(store.state('orders/1'), 'saved')
  assert.ok(!mesh.types('network').includes('DEFLATED'))
  net.die()
  await advance(10_000)
  put('orders/1', 'more', 'extra shot '.repeat(50))
  await store.whenSaved()
  assert.ok(mesh.types('bluetooth').includes('DEFLATED'))
  const link = [...mesh.links].find(({ kind }) => kind === 'bluetooth')
  link.sayDeflated({ type: 'DIFF', handle: 1, flags: 0, fingerprint: new Uint8Array(), update: new Uint8Array(2) }, { type: 'STATE', digest: mesh.state })
  await settle()
  assert.equal(store.via, 'bluetooth')
  assert.ok(store.upToDate(mesh.state))
})

test('a device of no store is refused, and nobody is called', async () => {
  const { air } = gateway()
  const { store } = await device({ bluetooth: air })
  await advance(60_000)
  assert.deepEqual([store.link, store.needsPairing, air.connections.length], ['refused', true, 0])
})

test('a device is paired by Bluetooth', async () => {
  const { mesh, air } = gateway()
  const { store, told, put } = await device({ bluetooth: air })
  put('orders/1', 'dish', 'soup')
  await store.pair(CODE)
  await store.whenSaved()
  assert.deepEqual([store.paired, store.needsPairing, told.at(-1)], [true, false, 'bluetooth'])
  assert.deepEqual(mesh.read('orders/1'), { dish: 'soup' })
  assert.ok(mesh.types('bluetooth').includes('NOISE 2'))
})

test('a wrong code is told, and counts once', async () => {
  const { mesh, air, net } = gateway()
  const { store } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket })
  const failing = assert.rejects(store.pair('00000-00000-00000-00000'), { name: 'Unreached' })
  await advance(1_000)
  await failing
  assert.equal(mesh.heard.filter(({ types }) => types[0] === 'NOISE 2').length, 1)
})

test('where the network reaches nobody a device is paired by Bluetooth', async () => {
  const { mesh, air, net } = gateway()
  net.die()
  const { store } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket })
  await advance(11_000)
  assert.deepEqual([store.link, store.needsPairing], ['refused', true], 'by Bluetooth it could work')
  const pairing = store.pair(CODE)
  await advance(11_000)
  await pairing
  assert.deepEqual([store.via, store.paired], ['bluetooth', true])
  assert.ok(mesh.types('bluetooth').includes('NOISE 2'))
})

test('the network carries everything, and Bluetooth waits', async () => {
  await paired()
  const { mesh, air, net } = gateway()
  const { store, put } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket })
  await advance(1_000)
  put('orders/1', 'dish', 'soup')
  await advance(1_000)
  assert.deepEqual([store.via, store.state('orders/1')], ['network', 'saved'])
  await advance(60_000)
  assert.ok(mesh.types('bluetooth').includes('AUTH'))
  assert.ok(!mesh.types('bluetooth').includes('OPEN'))
  assert.equal(air.open.length, 1)
})

test('Wi-Fi dies: Bluetooth takes over within seconds, nothing is lost or sent twice, and back', async () => {
  await paired()
  const { mesh, air, net } = gateway()
  const { store, told, put } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket })
  await advance(1_000)
  put('orders/1', 'a', 1)
  await advance(20_000)
  assert.equal(store.via, 'network')
  net.die()
  put('orders/1', 'b', 2)
  mesh.change('orders/1', 'c', 3)
  await advance(8_000)
  assert.deepEqual([store.via, store.state('orders/1')], ['bluetooth', 'saved'])
  put('orders/1', 'd', 4)
  mesh.change('orders/1', 'e', 5)
  await advance(1_000)
  assert.equal(store.state('orders/1'), 'saved')
  net.isUp = true
  await advance(45_000)
  assert.equal(store.via, 'network')
  put('orders/1', 'f', 6)
  mesh.change('orders/1', 'g', 7)
  await advance(1_000)
  const all = { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7 }
  assert.deepEqual([mesh.read('orders/1'), store.doc('orders/1').getMap('order').toJSON()], [all, all])
  assert.equal(written(mesh), 4, 'a, b, d and f')
  assert.deepEqual(told.slice(told.indexOf('network')), ['network', 'bluetooth', 'network'])
  assert.ok(mesh.heard.find(({ kind }) => kind === 'bluetooth').types.includes('CLOSE'), 'the documents left the Bluetooth link')
  // And all of it once more, by the same Bluetooth link.
  net.die()
  await advance(8_000)
  put('orders/1', 'h', 8)
  await advance(1_000)
  assert.deepEqual([store.via, mesh.read('orders/1').h, air.connections.length], ['bluetooth', 8, 1])
})

test('Bluetooth that is dropped while the network works is called when it does not', async () => {
  await paired()
  const { mesh, air, net } = gateway()
  const { store, put } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket, bluetoothIdle: 'drop' })
  await advance(10_000)
  assert.deepEqual([store.via, air.connections.length], ['network', 0])
  net.die()
  net.sockets.at(-1).close()
  put('orders/1', 'dish', 'soup')
  await advance(8_000)
  assert.deepEqual([store.via, store.state('orders/1')], ['bluetooth', 'saved'])
  net.isUp = true
  await advance(45_000)
  assert.deepEqual([store.via, air.open.length], ['network', 0])
  assert.deepEqual(mesh.read('orders/1'), { dish: 'soup' })
})

test('a break at any moment: the store comes back, and everything is saved once', async () => {
  for (let step = 1; step <= 40; step += 1) {
    globalThis.indexedDB = new IDBFactory()
    await paired()
    const { mesh, air } = gateway()
    air.mtu = 60
    let steps = 0
    air.before = () => { if (++steps === step) air.vanish() }
    const { store, put } = await device({ bluetooth: air })
    put('orders/1', 'dish', 'soup '.repeat(30))
    await advance(2_000)
    put('orders/1', 'table', step)
    await advance(40_000)
    assert.deepEqual([store.via, store.state('orders/1')], ['bluetooth', 'saved'], `step ${step}`)
    assert.equal(mesh.read('orders/1').table, step)
    store.destroy()
    await advance(3_000)
    assert.equal(air.open.length, 0)
  }
})

test('while nobody is near it is offline, and goes on looking', async () => {
  await paired()
  const { air } = gateway()
  const connect = air.connect.bind(air)
  let heard
  air.connect = async (...values) => {
    await new Promise((resolve) => { heard = resolve })
    return connect(...values)
  }
  const { store, told } = await device({ bluetooth: air })
  assert.equal(store.link, 'connecting')
  await advance(12_000)
  assert.deepEqual(told, ['offline', 'no gateway is near'])
  heard()
  await settle()
  assert.equal(store.via, 'bluetooth')
})

test('an open gateway that is away is no reason to ask for pairing', async () => {
  const { mesh, air, net } = gateway()
  mesh.accept = (kind, send) => {
    const says = [{ type: 'HELLO', lowest: 1, highest: 1, peer: mesh.peer, features: 1, message_bytes: 262_144, about: [] }, { type: 'GRANT', grants: [] }]
    return { receive: () => { if (says.length) send(encode(says.shift())) } }
  }
  const { store } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket })
  await advance(1_000)
  assert.deepEqual([store.via, store.needsPairing], ['network', false])
  net.die()
  net.sockets.at(-1).close()
  await advance(12_000)
  assert.deepEqual([store.link === 'refused', store.needsPairing], [false, false])
})

test('a gateway that is full is asked again after five seconds', async () => {
  await paired()
  const { air } = gateway()
  air.place = 0
  const { store } = await device({ bluetooth: air })
  assert.deepEqual([store.link, air.connections.length], ['offline', 1])
  air.place = 8
  await advance(4_900)
  assert.equal(air.connections.length, 1)
  await advance(200)
  assert.equal(store.via, 'bluetooth')
})

test('a device that is linked is paired anew: the link before disturbs nothing, and what it was told counts no more', async () => {
  await paired()
  const { mesh, net } = gateway()
  const { store, told } = await device({ url: URL, WebSocket: net.Socket })
  await advance(1_000)
  ;[...mesh.links].at(-1).say({ type: 'STATE', digest: mesh.state })
  await advance(100)
  assert.ok(store.upToDate(mesh.state))
  let failed = null
  const pairing = store.pair(CODE).catch((error) => { failed = error })
  await advance(1_000)
  await pairing
  assert.deepEqual([failed, store.via, net.sockets.length, told.at(-1)], [null, 'network', 2, 'network'])
  assert.ok(!store.upToDate(mesh.state))
})

test('who was met by the network is known by Bluetooth', async () => {
  await paired()
  const { mesh, air, net } = gateway()
  air.reachable = false
  const { store } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket })
  await advance(1_000)
  air.reachable = true
  await advance(30_000)
  assert.deepEqual([store.via, mesh.heard.find(({ kind }) => kind === 'bluetooth').types[0]], ['network', 'NOISE 0'])
})

test('an idle link has no subscriptions, and what is told there counts for nothing', async () => {
  await paired()
  const { mesh, air, net } = gateway()
  const { store } = await device({ bluetooth: air, url: URL, WebSocket: net.Socket })
  store.subscribe('orders')
  await advance(1_000)
  net.die()
  await advance(8_000)
  const idle = mesh.heard.find(({ kind }) => kind === 'bluetooth')
  assert.deepEqual([store.via, idle.types.includes('SUBSCRIBE')], ['bluetooth', true])
  net.isUp = true
  await advance(45_000)
  assert.deepEqual([store.via, idle.types.includes('UNSUBSCRIBE')], ['network', true])
  idle.say({ type: 'STATE', digest: mesh.state })
  await settle()
  assert.ok(!store.upToDate(mesh.state))
})

test('what the gateway says before this device asked for all that it wants counts for nothing', async () => {
  await paired()
  const { mesh, air } = gateway()
  // Exchanges are answered when the test says so.
  mesh.features |= 2
  const { store } = await device({ bluetooth: air })
  const say = async (...records) => {
    [...mesh.links].at(-1).say(...records)
    await settle()
  }
  const state = { type: 'STATE', digest: mesh.state }
  const answered = async (exchange) => {
    await say({ type: 'RECONCILE', exchange, ranges: mesh.ranges.at(-1).slice(0, 8) })
    await say(state)
  }
  await say(state)
  assert.ok(store.upToDate(mesh.state))
  const live = store.subscribe('orders')
  await settle()
  await say(state)
  assert.ok(!store.upToDate(mesh.state), 'it is not compared')
  await answered(3)
  assert.ok(store.upToDate(mesh.state))
  live.select({ dish: 'soup' })
  await say(state)
  assert.ok(!store.upToDate(mesh.state), 'it is compared anew')
  await answered(3)
  assert.ok(store.upToDate(mesh.state))
  mesh.isDeaf = true
  store.doc('orders/1')
  await say(state)
  assert.ok(!store.upToDate(mesh.state), 'a document is on its way')
  air.vanish()
  assert.ok(!store.upToDate(mesh.state))
})

test('whose place is needed comes back with the next change, or after a minute', async () => {
  await paired()
  const { mesh, air } = gateway()
  const { store, put } = await device({ bluetooth: air })
  store.doc('orders/1')
  const sendAway = async () => {
    [...mesh.links].at(-1).say({ type: 'GOODBYE', code: 4429, reason: 'the place is needed', retry_ms: 0 })
    await advance(1_000)
    air.vanish()
  }
  await sendAway()
  await advance(58_000)
  assert.deepEqual([store.link, air.connections.length], ['offline', 1])
  put('orders/1', 'dish', 'soup')
  await settle()
  assert.deepEqual([store.via, mesh.read('orders/1')], ['bluetooth', { dish: 'soup' }])
  await sendAway()
  await advance(60_000)
  assert.equal(store.via, 'bluetooth')
})

test('who advertises what this device has all of is not called, until there is something to say', async () => {
  await paired()
  const { mesh, air } = gateway()
  const { store, put } = await device({ bluetooth: air })
  put('orders/1', 'dish', 'soup')
  await store.whenSaved()
  const { isWanted } = air.search
  const token = Uint8Array.from(Buffer.from(advertised(ours.root)))
  const beacon = (state = 0, digest = mesh.state, mark = token) => Buffer.from([...mark, ...digest, state]).toString('base64url')
  assert.ok(isWanted(beacon()), 'nothing was told yet')
  ;[...mesh.links].at(-1).say({ type: 'STATE', digest: mesh.state })
  await settle()
  assert.ok(store.upToDate(mesh.state) && !isWanted(beacon()))
  assert.ok(isWanted(beacon(0, new Uint8Array(4))), 'another state')
  assert.ok(!isWanted(beacon(2, new Uint8Array(4))), 'all places are taken')
  assert.ok(!isWanted(beacon(0, new Uint8Array(4), new Uint8Array(8))), 'another store')
  assert.ok(!isWanted('A phone'))
  air.vanish()
  air.reachable = false
  put('orders/1', 'table', 4)
  assert.ok(isWanted(beacon()), 'there is something to say')
  air.reachable = true
  await advance(60_000)
  ;[...mesh.links].at(-1).say({ type: 'STATE', digest: mesh.state })
  await settle()
  assert.ok(!isWanted(beacon()))
  store.doc('orders/2')
  assert.ok(isWanted(beacon()), 'more is wanted')
})

/** A token as a gateway of the store of this root would draw it: the marks of all are tried. */
function advertised(root) {
  const key = createHmac('sha256', root).update('store-gateway/1 token').digest()
  const nonce = Buffer.from('abc')
  const token = Buffer.concat([nonce, createHmac('sha256', key).update(nonce).digest().subarray(0, 5)])
  assert.ok(isOfStore(root, token))
  return token
}

test('a browser without Bluetooth says what to use instead, and goes on', async () => {
  const { net } = gateway()
  const { store } = await device({ bluetooth: true, url: URL, WebSocket: net.Socket })
  await assert.rejects(store.chooseBluetooth(), { name: 'Unreached', message: /use Chrome or Edge/ })
  await advance(1_000)
  assert.equal(store.needsPairing, true)
  const alone = await device({ bluetooth: true })
  assert.deepEqual([alone.store.link, alone.told.length], ['offline', 2], 'nothing is tried')
  assert.match(alone.told[1], /chooseBluetooth/)
  await assert.rejects(alone.store.pair(CODE), { name: 'Unreached', message: /chooseBluetooth/ })
  const none = await device({ url: URL, WebSocket: net.Socket })
  await assert.rejects(none.store.chooseBluetooth(), { name: 'Unreached', message: /option bluetooth/ })
  assert.throws(() => connect({}), TypeError)
})
