// What the store signs: COSE_Sign1 (RFC 9052 section 4.2) with EdDSA in the one form that is used, and the claims in it
// (gateway/core/cose.py, claims.py; docs/protocol.md section 10).
import { ed25519 } from '@noble/curves/ed25519.js'
import { decode, encodeArray, type Value } from './cbor'
import { equal } from './octets'
import { Malformed } from './wire'

/** The other side is not who it should be; `code` is one of docs/protocol.md section 5. */
export class Untrusted extends Error {
  constructor(readonly code: number, reason: string) {
    super(reason)
  }
}

export const UNAUTHORISED = 4401
export const REVOKED = 4410
export const OTHER_STORE = 4421
const VERSION = 4426
const FORM_VERSION = 1
export const ID_BYTES = 16
export const SERIAL_BYTES = 8
export const KEY_BYTES = 32
export const MAX_EPOCH = 2 ** 32 - 1
const SIGNATURE_BYTES = 64
const MAX_BYTES = 3_072
const MAX_PAIR_BYTES = 3_584
// {1: -8}: EdDSA (RFC 9053 section 2.2).
const PROTECTED = Uint8Array.of(0xa1, 0x01, 0x27)
const encoder = new TextEncoder()

/** Claims and who may have signed them; nothing is known until `by` says so. */
export class Signed {
  readonly claims: Claims
  constructor(private readonly payload: Uint8Array, private readonly signature: Uint8Array, private readonly context: string, keys: number) {
    this.claims = new Claims(decode(payload), keys)
  }

  /** Whether this key signed the claims in the context they were read for. */
  by(key: Uint8Array): boolean {
    const message = encodeArray(['Signature1', PROTECTED, encoder.encode(this.context), this.payload])
    try {
      // As RFC 8032 says; the library's own default also takes keys of low order.
      return ed25519.verify(this.signature, message, key, { zip215: false })
    } catch {
      return false
    }
  }
}

/** The claims 0 to `keys` in a COSE_Sign1, not verified. Throws `Malformed`, and `Untrusted` for another version. */
export function readSigned(data: Uint8Array, context: string, keys: number): Signed {
  if (data.length > MAX_BYTES) throw new Malformed(`more than ${MAX_BYTES} signed bytes`)
  const parts = decode(data)
  if (Array.isArray(parts) && parts.length === 4) {
    const [header, unprotected, payload, signature] = parts
    if (header instanceof Uint8Array && equal(header, PROTECTED) && unprotected instanceof Map && unprotected.size === 0
      && payload instanceof Uint8Array && signature instanceof Uint8Array && signature.length === SIGNATURE_BYTES) {
      return new Signed(payload, signature, context, keys)
    }
  }
  throw new Malformed('not a COSE_Sign1 with EdDSA and nothing else')
}

/** Something signed, and the certificate of who signed it (empty: the store's root). Throws `Malformed`. */
export function readPair(data: Uint8Array): [signed: Uint8Array, certificate: Uint8Array] {
  if (data.length > MAX_PAIR_BYTES) throw new Malformed(`a credential of more than ${MAX_PAIR_BYTES} bytes`)
  const parts = decode(data)
  if (Array.isArray(parts) && parts.length === 2) {
    const [signed, certificate] = parts
    if (signed instanceof Uint8Array && certificate instanceof Uint8Array) return [signed, certificate]
  }
  throw new Malformed('not a pair of byte strings')
}

/** A map that holds exactly the claims it should; all methods throw `Malformed`. */
export class Claims {
  private readonly values: Map<number, Value>
  constructor(value: Value, keys: number) {
    if (!(value instanceof Map) || typeof value.get(0) !== 'number') throw new Malformed('claims are a map with a version')
    if (value.get(0) !== FORM_VERSION) {
      throw new Untrusted(VERSION, 'made by another version of the Store Gateway: update this device and the gateway')
    }
    const known = [...value.keys()].every((key) => key >= 0 && key <= keys)
    if (value.size !== keys + 1 || !known) throw new Malformed('a claim is missing, or not known')
    this.values = value
  }

  octets(key: number, ...lengths: number[]): Uint8Array {
    const value = this.values.get(key)
    if (!(value instanceof Uint8Array) || !lengths.includes(value.length)) throw new Malformed('a claim has the wrong length')
    return value
  }

  number(key: number, most: number): number {
    const value = this.values.get(key)
    if (typeof value !== 'number' || value < 0 || value > most) throw new Malformed('a claim is not a number, or out of range')
    return value
  }
}
