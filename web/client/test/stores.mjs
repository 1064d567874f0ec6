// Stores of one gateway, made of keys that tests know.
import { ed25519 } from '@noble/curves/ed25519.js'
import { source } from './source.mjs'

const { encodeArray, encodeMap, KeyPair, Keys, storeId } = await source('cbor', 'certificate', 'entrance', 'noise')

export const octets = (value, length) => new Uint8Array(length).fill(value)
export const peer = octets(1, 16)
export const gatewayPeer = octets(2, 16)
export const keys = new Keys(octets(3, 32), octets(4, 32))
const text = (string) => new TextEncoder().encode(string)
// {} has no other place in what is signed than this.
const withoutHeaders = (array) => Uint8Array.from([0x84, ...array.subarray(1, 5), 0xa0, ...array.subarray(5)])

function sign(secret, context, claims) {
  const payload = encodeMap([1, ...claims])
  const header = Uint8Array.of(0xa1, 0x01, 0x27)
  const signature = ed25519.sign(encodeArray(['Signature1', header, text(context), payload]), secret)
  return withoutHeaders(encodeArray([header, payload, signature]))
}

/** A store of one gateway, and a ticket of it. */
export function made(seed, { noise = octets(seed + 1, 32), epoch = 0 } = {}) {
  const rootSecret = octets(seed, 32)
  const root = ed25519.getPublicKey(rootSecret)
  const signing = octets(seed + 2, 32)
  const pair = new KeyPair(noise)
  const serial = octets(seed, 8)
  const store = storeId(root)
  const certificate = sign(rootSecret, 'store-gateway certificate', [store, gatewayPeer, ed25519.getPublicKey(signing), pair.public, serial, epoch])
  /** What lets the device with this key in. */
  const credentialOf = (noiseKey, device) => {
    const ticket = sign(signing, 'store-gateway ticket', [store, noiseKey, device, 'kiosk', octets(0, 0), 0, octets(5, 16), serial])
    return encodeArray([ticket, certificate])
  }
  const revocation = sign(rootSecret, 'store-gateway revocation', [store, 2, serial, 0, octets(0, 0)])
  const other = sign(rootSecret, 'store-gateway revocation', [store, 1, octets(6, 16), 0, octets(0, 0)])
  return {
    root, pair, certificate, credentialOf, credential: credentialOf(keys.noise.public, peer),
    revocation: encodeArray([revocation, octets(0, 0)]), other: encodeArray([other, octets(0, 0)]),
  }
}
