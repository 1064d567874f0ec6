// What a device is survives its app; where nothing can be kept it lives as long as the page.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { IDBFactory } from 'fake-indexeddb'
import { readFileSync } from 'node:fs'
import { source } from './source.mjs'

const { Identity, Revocations } = await source('identity', 'revocations')
const { store, credential, revocations } = JSON.parse(readFileSync(new URL('../../../tests/vectors/tickets.json', import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const membership = () => ({ root: bytes(store.root_public), credential: bytes(credential.hex), revocations: new Revocations(bytes(store.root_public)) })
const other = () => ({ root: new Uint8Array(32).fill(9), credential: new Uint8Array([1]), revocations: new Revocations(new Uint8Array(32).fill(9)) })
const [url, key] = ['ws://gateway.local:8787/mesh', new Uint8Array(32).fill(7)]
const keysOf = ({ peer, keys }) => [peer, keys.noise.public, keys.signingPublic]

let opened = []
async function load() {
  const identity = await Identity.load()
  opened.push(identity)
  return identity
}

class Storage extends Map {
  getItem = (name) => this.get(name) ?? null
  setItem = (name, value) => void this.set(name, value)
  removeItem = (name) => void this.delete(name)
}

beforeEach(() => { globalThis.indexedDB = new IDBFactory() })
afterEach(() => {
  for (const identity of opened.splice(0)) identity.close()
  delete globalThis.localStorage
})

test('windows that start at the same time are one device, and so is the next start', async () => {
  const [one, two] = await Promise.all([load(), load()])
  assert.deepEqual(keysOf(one), keysOf(two))
  assert.deepEqual(keysOf(await load()), keysOf(one))
  assert.equal(one.membership, null)
})

test('the store, who is shut out of it, and the gateways that were met are kept', async () => {
  const one = await load()
  await one.gain(membership())
  one.membership.revocations.add(bytes(revocations[0].hex))
  await one.keepRevocations()
  one.meet(url, key)
  const two = await load()
  assert.deepEqual(two.membership.credential, bytes(credential.hex))
  assert.deepEqual(two.membership.revocations.entries(), [bytes(revocations[0].hex)])
  assert.deepEqual(two.gateway(url), key)
  assert.ok(two.forget(url) && !two.forget(url))
  assert.equal((await load()).gateway(url), undefined)
})

test('another store begins without what was known of the one before', async () => {
  const one = await load()
  await one.gain(membership())
  one.membership.revocations.add(bytes(revocations[0].hex))
  await one.keepRevocations()
  one.meet(url, key)
  await one.gain(other())
  assert.equal(one.gateway(url), undefined)
  const two = await load()
  assert.deepEqual([two.gateway(url), two.membership.revocations.entries()], [undefined, []])
})

test('another window hears that this device was paired', async () => {
  const [one, two] = [await load(), await load()]
  const heard = new Promise((resolve) => { two.onGained = resolve })
  await one.gain(membership())
  await heard
  assert.deepEqual(two.membership.root, one.membership.root)
})

for (const [name, broken] of [
  ['there is no IndexedDB', () => undefined],
  ['IndexedDB cannot be opened', () => ({ open: () => { throw new Error('private') } })],
]) {
  test(`${name}: a device until the page ends, with a new id for new keys`, async () => {
    globalThis.indexedDB = broken()
    globalThis.localStorage = new Storage()
    const [one, two] = [await load(), await load()]
    assert.deepEqual(one.peer, two.peer, 'as long as nobody knows it with keys')
    await one.gain(membership())
    one.meet(url, key)
    assert.deepEqual(one.gateway(url), key)
    const three = await load()
    assert.notDeepEqual(three.peer, one.peer)
    assert.equal(three.membership, null)
  })
}

test('the id that this device had before stays', async () => {
  globalThis.localStorage = new Storage([['store-gateway-peer', '0f'.repeat(16)]])
  const one = await load()
  assert.deepEqual(one.peer, new Uint8Array(16).fill(15))
  await one.gain(membership())
  assert.deepEqual((await load()).peer, one.peer)
})
