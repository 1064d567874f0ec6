// Is this the store's gateway? Its certificate has to be signed by the store's root, and to name the
// key that the gateway proved in the Noise handshake (gateway/core/certificates.py; docs/protocol.md
// section 10; cases in tests/vectors/tickets.json).
import { ed25519 } from '@noble/curves/ed25519'
import { digest } from 'lib0/hash/sha256'
import { decode, encodeArray } from './cbor'
import { Malformed } from './wire'

export type Certificate = {
  store: Uint8Array
  peer: Uint8Array
  signing_key: Uint8Array
  noise_key: Uint8Array
  serial: Uint8Array
  epoch: number
}

/** The other side is not the gateway it should be; `code` is one of docs/protocol.md section 5. */
export class Untrusted extends Error {
  constructor(readonly code: number, reason: string) {
    super(reason)
  }
}

const MAX_BYTES = 3_072
const MAX_EPOCH = 2 ** 32 - 1
const UNAUTHORISED = 4401
const OTHER_STORE = 4421
const VERSION = 4426
const CONTEXT = 'store-gateway certificate'
// {1: -8}: EdDSA (RFC 9053 section 2.2).
const PROTECTED = Uint8Array.of(0xa1, 0x01, 0x27)
const CLAIMS = 7
const encoder = new TextEncoder()

/** The 16 bytes that name a store. */
export function storeId(root: Uint8Array): Uint8Array {
  return labelled('store-gateway store', root).slice(0, 16)
}

/** The 4 bytes by which a gateway of the store is recognised on the LAN. */
export function storeHint(store: Uint8Array): Uint8Array {
  return labelled('store-gateway hint', store).slice(0, 4)
}

/**
 * The certificate in `data`, if the root signed it and it names `noiseKey`, the static key that the
 * gateway proved in this session. Whether it was revoked is not asked. Throws `Malformed` or `Untrusted`.
 */
export function verifyCertificate(data: Uint8Array, root: Uint8Array, noiseKey: Uint8Array): Certificate {
  const { payload, signature } = signed(data)
  const certificate = claimed(payload)
  if (!equal(certificate.store, storeId(root))) {
    throw new Untrusted(OTHER_STORE, "this is another store's gateway: choose that store, or pair with this one")
  }
  const message = encodeArray(['Signature1', PROTECTED, encoder.encode(CONTEXT), payload])
  if (!isSigned(signature, message, root)) {
    throw new Untrusted(UNAUTHORISED, 'the certificate is not of this store: pair again')
  }
  if (!equal(certificate.noise_key, noiseKey)) {
    throw new Untrusted(UNAUTHORISED, 'the certificate belongs to another gateway')
  }
  return certificate
}

/** The parts of a COSE_Sign1 in the one form that is used. */
function signed(data: Uint8Array): { payload: Uint8Array; signature: Uint8Array } {
  if (data.length > MAX_BYTES) throw new Malformed(`more than ${MAX_BYTES} signed bytes`)
  const parts = decode(data)
  if (Array.isArray(parts) && parts.length === 4) {
    const [header, unprotected, payload, signature] = parts
    if (header instanceof Uint8Array && equal(header, PROTECTED) && unprotected instanceof Map && unprotected.size === 0
      && payload instanceof Uint8Array && signature instanceof Uint8Array && signature.length === 64) {
      return { payload, signature }
    }
  }
  throw new Malformed('not a COSE_Sign1 with EdDSA and nothing else')
}

function claimed(payload: Uint8Array): Certificate {
  const claims = decode(payload)
  if (!(claims instanceof Map) || typeof claims.get(0) !== 'number') throw new Malformed('claims are a map with a version')
  if (claims.get(0) !== 1) {
    throw new Untrusted(VERSION, 'made by another version of the Store Gateway: update this device and the gateway')
  }
  if (claims.size !== CLAIMS) throw new Malformed('a claim is missing, or not known')
  const octets = (key: number, length: number): Uint8Array => {
    const value = claims.get(key)
    if (!(value instanceof Uint8Array) || value.length !== length) throw new Malformed('a claim has the wrong length')
    return value
  }
  const epoch = claims.get(6)
  if (typeof epoch !== 'number' || epoch < 0 || epoch > MAX_EPOCH) {
    throw new Malformed('a claim is not a number, or out of range')
  }
  return {
    store: octets(1, 16), peer: octets(2, 16), signing_key: octets(3, 32), noise_key: octets(4, 32),
    serial: octets(5, 8), epoch,
  }
}

function isSigned(signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean {
  try {
    // As RFC 8032 says; the library's own default also takes keys of low order.
    return ed25519.verify(signature, message, key, { zip215: false })
  } catch {
    return false
  }
}

function labelled(label: string, bytes: Uint8Array): Uint8Array {
  return digest(Uint8Array.from([...encoder.encode(label), ...bytes]))
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, n) => byte === other[n])
}
