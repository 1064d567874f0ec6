// The pairing code that a person types: 100 bits as 20 characters of Crockford's base 32 (docs/protocol.md, "Secure layer").
import { sha256 } from '@noble/hashes/sha2.js'

const CHARACTERS = 20
// Without I, L, O (read as 1, 1, 0) and U. Five bits a character.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const MAX_TEXT = 64
const PSK_LABEL = 'store-gateway/1 pairing code '

/** What was typed is no pairing code; the message says so to a person. */
export class PairingCodeError extends Error {
  override readonly name = 'PairingCodeError'
}

/** A new code of 20 random bytes, of each of which five bits are used: `9V3ZK-0TQ4C-…`. */
export function pairingCode(random: Uint8Array): string {
  if (random.length !== CHARACTERS) throw new Error(`a pairing code takes ${CHARACTERS} random bytes`)
  return Array.from(random, (byte) => ALPHABET[byte % 32]).join('').replace(/(.{5})(?=.)/g, '$1-')
}

/** The 20 characters of a typed code: any case, O for 0, I and L for 1, spaces and dashes anywhere. */
export function normalised(text: string): string {
  const code = (text.length > MAX_TEXT ? '' : text)
    .replace(/[ \-\t\r\n]/g, '')
    .replace(/[oO]/g, '0')
    .replace(/[iIlL]/g, '1')
    .replace(/[a-z]/g, (letter) => letter.toUpperCase())
  if (!/^[0-9A-HJKMNP-TV-Z]{20}$/.test(code)) {
    throw new PairingCodeError(`that is not a pairing code: it has ${CHARACTERS} letters and digits, and no U`)
  }
  return code
}

/** The pre-shared key of a typed code, 32 bytes. */
export function pairingPsk(text: string): Uint8Array {
  return sha256(new TextEncoder().encode(PSK_LABEL + normalised(text)))
}
