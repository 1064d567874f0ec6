// A link by Bluetooth, with a gateway that loses, repeats, refuses and goes away.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { advance, settle } from './clock.mjs'
import { Gateway } from './gatt.mjs'
import { source } from './source.mjs'

const { BluetoothTransport } = await source('bluetooth')
const octets = (length, seed = 1) => Uint8Array.from({ length }, (_, place) => (place * 31 + seed) & 0xff)
const LARGEST = 262_224

let links = []
/** A link through a transport, and what it told. */
function call(gateway, transport = new BluetoothTransport(gateway, () => true)) {
  const told = { opened: [], messages: [], closed: [], rooms: 0, transport }
  told.link = transport.open({
    opened: (key) => told.opened.push(key),
    message: (data) => told.messages.push(data),
    room: () => told.rooms++,
    closed: (...values) => told.closed.push(values),
  })
  links.push(told.link)
  return told
}

/** A gateway that answers each message with itself. */
function echo(changes = {}) {
  return Object.assign(new Gateway(), { message: (connection, message) => connection.send(message) }, changes)
}

afterEach(async () => {
  for (const link of links.splice(0)) link.abandon()
  await settle()
})

for (const [mtu, knowsMtu] of [[23, true], [23, false], [185, true], [517, true], [517, false]]) {
  test(`messages of every size, MTU ${mtu}${knowsMtu ? '' : ', which nobody knows'}`, async () => {
    const gateway = echo({ mtu, knowsMtu })
    const told = call(gateway)
    await settle()
    assert.deepEqual(told.opened, ['bluetooth:' + '02'.repeat(16)])
    const messages = [1, 45, mtu - 3, 4_096, LARGEST].map(octets)
    for (const message of messages) told.link.send(message)
    for (let turns = 0; turns < 3_000 && told.messages.length < messages.length; turns++) await settle()
    assert.deepEqual(told.messages, messages)
    assert.equal(gateway.link.takes, knowsMtu ? Math.min(mtu - 3, 512) : 0)
    assert.ok(gateway.link.writes.every(({ length }) => length <= Math.min(mtu - 3, 510)))
  })
}

test('there is no room while much waits, and then there is', async () => {
  const told = call(echo({ mtu: 23 }))
  assert.equal(told.link.hasRoom, false, 'not before it is open')
  await settle()
  assert.equal(told.link.hasRoom, true)
  told.link.send(octets(10_000))
  assert.equal(told.link.hasRoom, false)
  for (let turns = 0; turns < 200 && !told.messages.length; turns++) await settle()
  assert.ok(told.link.hasRoom && told.rooms === 1)
})

test('the opener is written again, and after the fourth time nobody is there', async () => {
  const late = echo({ deafOpeners: 3 })
  const told = call(late)
  await advance(5_999)
  assert.deepEqual(told.opened, [])
  await advance(1)
  assert.equal(told.opened.length, 1)
  assert.equal(late.link.openers, 4)
  const deaf = echo({ deafOpeners: Infinity })
  const other = call(deaf)
  await advance(8_000)
  assert.deepEqual([other.closed[0][0], deaf.link.openers, deaf.open.length], [4408, 4, 0])
})

test('whoever hangs before the answer is left after 20 seconds', async () => {
  const gateway = echo({ before: () => {} })
  gateway.connect = async () => ({ read: () => new Promise(() => {}), onDisconnect() {}, disconnect: () => { gateway.left = true } })
  const told = call(gateway)
  await advance(20_000)
  assert.deepEqual([told.closed[0][0], gateway.left], [4408, true])
})

test('refused, or no place: the code is told, and when to come back', async () => {
  for (const [changes, code, wait] of [[{ refuses: 4426 }, 4426, 0], [{ refuses: 4429 }, 4429, 5_000], [{ place: 0 }, 4429, 5_000], [{ place: 9 }, 4429, 5_000]]) {
    const told = call(echo(changes))
    await settle()
    assert.deepEqual([told.closed.length, told.closed[0][0], told.closed[0][2], told.closed[0][3]], [1, code, wait, false])
  }
})

test('INFO that is cut off, or of a later version', async () => {
  for (const [info, code] of [[octets(21), 4400], [Uint8Array.of(2, 3, ...octets(20)), 4426]]) {
    const gateway = echo()
    const connect = gateway.connect.bind(gateway)
    gateway.connect = async (...values) => Object.assign(await connect(...values), { read: async () => info })
    const told = call(gateway)
    await settle()
    assert.equal(told.closed[0][0], code)
  }
})

test('what is of an earlier link, and an answer that comes twice, is skipped', async () => {
  const gateway = echo({ notifies: (value) => (value[0] === 0x80 ? [octets(20), Uint8Array.of(0x80, 1, 9, 9, 9, 9, 20, 0), value, value] : [value]) })
  const told = call(gateway)
  await settle()
  told.link.send(octets(45))
  await settle()
  assert.deepEqual([told.opened.length, told.messages.length, told.closed.length], [1, 1, 0])
})

test('a link that is over at the gateway is told by its nonce', async () => {
  const gateway = echo()
  const told = call(gateway)
  await settle()
  gateway.link.notify(Uint8Array.of(0, 1, 9, 9, 9, 9, 0x38, 0x11))
  assert.equal(told.closed[0]?.[0], 4400, 'another nonce makes it a segment, and a wrong one')
  const other = call(gateway)
  await settle()
  gateway.link.end(4408)
  assert.equal(other.closed[0][0], 4408)
})

for (const [name, notifies] of [
  ['lost', (value, count) => (count === 4 ? [] : [value])],
  ['doubled', (value, count) => (count === 4 ? [value, value] : [value])],
  ['damaged', (value, count) => (count === 4 ? [Uint8Array.of(0xff)] : [value])],
]) {
  test(`a notification that is ${name} ends the link cleanly, and the next one works`, async () => {
    let count = 0
    const gateway = echo({ mtu: 23, notifies: (value) => notifies(value, ++count) })
    const told = call(gateway)
    await settle()
    told.link.send(octets(300))
    for (let turns = 0; turns < 20; turns++) await settle()
    assert.deepEqual([told.closed.map(([code]) => code), gateway.open.length, told.messages], [[4400], 0, []])
    const next = call(gateway, told.transport)
    await settle()
    next.link.send(octets(300))
    for (let turns = 0; turns < 20; turns++) await settle()
    assert.equal(next.messages.length, 1)
  })
}

// connect, read, subscribe, opener, then 16 writes of a message of 300 bytes
for (const [name, act] of [
  ['fails', () => { throw new Error('GATT error') }],
  ['breaks the connection', (gateway) => gateway.vanish()],
  ['is the last of an abandoned link', (gateway, told) => told.link.abandon()],
]) {
  test(`each step that ${name} ends the link once, and lets the connection go`, async () => {
    for (let step = 1; step <= 20; step++) {
      let told
      const gateway = echo({ mtu: 23, before: (verb, number) => { if (number === step) act(gateway, told) } })
      told = call(gateway)
      await settle()
      if (gateway.open.length) told.link.send(octets(300))
      for (let turns = 0; turns < 3; turns++) await settle()
      // A connection breaks only once it is there.
      const isOver = name !== 'breaks the connection' || step > 1
      assert.deepEqual([told.closed.length, gateway.open.length], [isOver && !name.includes('abandoned') ? 1 : 0, isOver ? 0 : 1], `step ${step}`)
      told.link.abandon()
      gateway.before = () => {}
      const next = call(gateway, told.transport)
      await settle()
      assert.equal(next.opened.length, 1, `after step ${step}`)
    }
  })
}

test('the next link waits until the connection of the one before is gone', async () => {
  const gateway = echo({ mtu: 23 })
  const told = call(gateway)
  await settle()
  told.link.send(octets(1_000))
  told.link.close()
  const next = call(gateway, told.transport)
  for (let turns = 0; turns < 20; turns++) await settle()
  assert.equal(gateway.connections.length, 2)
  assert.ok(gateway.connections[0].over && next.opened.length === 1)
  assert.equal(told.closed[0][0], 1000, 'and what was sent went out first')
})

test('whoever closes does not wait for ever', async () => {
  const gateway = echo({ mtu: 23 })
  const told = call(gateway)
  await settle()
  gateway.link.write = () => new Promise(() => {})
  told.link.send(octets(10))
  told.link.close()
  await advance(2_000)
  assert.deepEqual([told.closed.length, gateway.open.length], [1, 0])
})

test('a message that gets no further ends the link after 15 seconds', async () => {
  const gateway = echo({ mtu: 23 })
  const told = call(gateway)
  await settle()
  gateway.link.take = () => {}
  told.link.send(octets(1_000))
  await advance(16_000)
  assert.equal(told.closed[0][0], 4408)
})

test('a search that nobody waits for any more is aborted', async () => {
  const gateway = echo()
  let search
  gateway.connect = (_, given) => new Promise((_, reject) => {
    search = given
    given.signal.addEventListener('abort', () => reject(new Error('aborted')))
  })
  const told = call(gateway)
  await settle()
  assert.equal(search.isWanted('a name'), true)
  told.link.close()
  await settle()
  assert.ok(search.signal.aborted)
  assert.equal(told.closed.length, 1)
})

test('the link moves to an L2CAP channel, in the middle of messages too', async () => {
  const gateway = echo({ psm: 0x80, mtu: 23 })
  const told = call(gateway)
  const messages = [300, 20_000, 5].map(octets)
  while (!told.opened.length) await Promise.resolve()
  for (const message of messages) told.link.send(message)
  for (let turns = 0; turns < 50; turns++) await settle()
  told.link.send(octets(70_000))
  for (let turns = 0; turns < 50; turns++) await settle()
  assert.deepEqual(told.messages, [...messages, octets(70_000)])
  assert.deepEqual(gateway.link.channel.written[0], Uint8Array.of(1))
  assert.ok(gateway.link.writes.length < 100)
  assert.ok(told.link.hasRoom)
})

test('without a channel it goes on by GATT', async () => {
  for (const before of [
    (verb) => { if (verb === 'channel') throw new Error('refused') },
    (verb) => { if (verb === 'stream') throw new Error('closed') },
  ]) {
    const told = call(echo({ psm: 0x80, before }))
    await settle()
    told.link.send(octets(300))
    await settle()
    assert.deepEqual([told.messages.length, told.closed.length], [1, 0])
  }
})

test('a channel that breaks after the move ends the link, as does what it must not bring', async () => {
  for (const [act, code] of [
    [(channel) => channel.closer(), 1006],
    [(channel) => channel.listener(Uint8Array.of(0)), 4400],
    [(channel) => channel.listener(Uint8Array.of(0xff, 0xff, 0xff, 0x7f)), 4400],
    [(channel) => channel.listener(Uint8Array.of(0xff, 0xff, 0x7f)), 1009],
  ]) {
    const gateway = echo({ psm: 0x80 })
    const told = call(gateway)
    await settle()
    act(gateway.link.channel)
    assert.deepEqual([told.closed[0]?.[0], gateway.open.length], [code, 0])
  }
})

test('a message by the channel that gets no further ends the link', async () => {
  const gateway = echo({ psm: 0x80 })
  const told = call(gateway)
  await settle()
  gateway.link.channel.listener(Uint8Array.of(5, 1))
  await advance(16_000)
  assert.equal(told.closed[0][0], 4408)
})
