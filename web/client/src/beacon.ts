// What a gateway advertises by Bluetooth, and whether it is of our store (docs/bluetooth.md, "Advertising"; gateway/core/beacon.py).
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { equal, joined } from './octets'

const NONCE_BYTES = 3
const TOKEN_BYTES = 8
const DIGEST_BYTES = 4
const BEACON_BYTES = TOKEN_BYTES + DIGEST_BYTES + 1
const TOKEN_LABEL = new TextEncoder().encode('store-gateway/1 token')

/** Bits of `state`: a pairing window is open, all places are taken. */
export const State = { PAIRING: 1, FULL: 2 }

export interface Beacon { token: Uint8Array; digest: Uint8Array; state: number }

/** What an advertised name says; null if it is not that of a gateway. */
export function readBeacon(name: string): Beacon | null {
  const data = unbase64url(name)
  if (data.length < BEACON_BYTES) return null
  const digestEnd = TOKEN_BYTES + DIGEST_BYTES
  return { token: data.slice(0, TOKEN_BYTES), digest: data.slice(TOKEN_BYTES, digestEnd), state: data[digestEnd] }
}

function unbase64url(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0))
  } catch {
    return new Uint8Array()
  }
}

/** Whether a token is of the store of this root. */
export function isOfStore(root: Uint8Array, token: Uint8Array): boolean {
  const nonce = token.subarray(0, NONCE_BYTES)
  const mark = hmac(sha256, hmac(sha256, root, TOKEN_LABEL), nonce).subarray(0, TOKEN_BYTES - NONCE_BYTES)
  return equal(joined([nonce, mark]), token)
}
