// Is this the store's gateway? Its certificate has to be signed by the store's root, and to name the
// key that the gateway proved in the Noise handshake (gateway/core/certificates.py; docs/protocol.md
// section 10; cases in tests/vectors/tickets.json).
import { sha256 } from '@noble/hashes/sha2.js'
import { equal, joined } from './octets'
import { ID_BYTES, KEY_BYTES, MAX_EPOCH, OTHER_STORE, readSigned, SERIAL_BYTES, UNAUTHORISED, Untrusted } from './signed'

export type Certificate = {
  store: Uint8Array
  peer: Uint8Array
  signing_key: Uint8Array
  noise_key: Uint8Array
  serial: Uint8Array
  epoch: number
}

const HINT_BYTES = 4
const CONTEXT = 'store-gateway certificate'
const CLAIMS = 6
const encoder = new TextEncoder()

/** The 16 bytes that name a store. */
export function storeId(root: Uint8Array): Uint8Array {
  return labelled('store-gateway store', root).slice(0, ID_BYTES)
}

/** The 4 bytes by which a gateway of the store is recognised on the LAN. */
export function storeHint(store: Uint8Array): Uint8Array {
  return labelled('store-gateway hint', store).slice(0, HINT_BYTES)
}

/** The certificate in `data`, if the root signed it. Whether it was revoked is not asked. Throws `Malformed` or `Untrusted`. */
export function readCertificate(data: Uint8Array, root: Uint8Array): Certificate {
  const signed = readSigned(data, CONTEXT, CLAIMS)
  const { claims } = signed
  const certificate = {
    store: claims.octets(1, ID_BYTES), peer: claims.octets(2, ID_BYTES), signing_key: claims.octets(3, KEY_BYTES),
    noise_key: claims.octets(4, KEY_BYTES), serial: claims.octets(5, SERIAL_BYTES), epoch: claims.number(6, MAX_EPOCH),
  }
  checkStore(certificate.store, storeId(root))
  if (!signed.by(root)) throw new Untrusted(UNAUTHORISED, 'the certificate is not of this store: pair again')
  return certificate
}

/** The same, if it names `noiseKey`, the static key that the gateway proved in this session. */
export function verifyCertificate(data: Uint8Array, root: Uint8Array, noiseKey: Uint8Array): Certificate {
  const certificate = readCertificate(data, root)
  if (!equal(certificate.noise_key, noiseKey)) throw new Untrusted(UNAUTHORISED, 'the certificate belongs to another gateway')
  return certificate
}

/** Throws `Untrusted` unless both are the same store. */
export function checkStore(named: Uint8Array, ours: Uint8Array): void {
  if (!equal(named, ours)) {
    throw new Untrusted(OTHER_STORE, "this is another store's gateway: choose that store, or pair with this one")
  }
}

function labelled(label: string, bytes: Uint8Array): Uint8Array {
  return sha256(joined([encoder.encode(label), bytes]))
}
