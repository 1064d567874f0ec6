// What a device is given to be paired with: a typed code, or the text of a QR code `store-gateway://pair?…`
// (gateway/core/pairing_uri.py; docs/protocol.md, "Pairing").
import { PairingCodeError, pairingPsk } from './pairing-code'
import { ID_BYTES, KEY_BYTES } from './signed'

/** `static` (the gateway's key) and `store` only from a QR code. */
export interface PairingSecret { psk: Uint8Array; static?: Uint8Array; store?: Uint8Array }

const SCHEME = 'store-gateway:'
const VERSION = '1'
const MAX_TEXT = 1_024
const MAX_ADDRESSES = 8

/** The secret in what somebody typed or scanned. Throws `PairingCodeError`. */
export function pairingSecret(text: string): PairingSecret {
  if (typeof text !== 'string') throw new PairingCodeError('a pairing code is a text')
  const given = text.trim()
  return given.toLowerCase().startsWith(SCHEME) ? readUri(given) : { psk: pairingPsk(given) }
}

function readUri(text: string): PairingSecret {
  const [start, query, ...more] = text.length > MAX_TEXT ? [] : text.split('?')
  const found = new URLSearchParams(query)
  const addresses = (found.get('a') ?? '').split(',')
  const psk = octets(found.get('s'), KEY_BYTES)
  const gateway = octets(found.get('k'), KEY_BYTES)
  const store = octets(found.get('i'), ID_BYTES)
  const right = start?.toLowerCase() === `${SCHEME}//pair` && !more.length && found.get('v') === VERSION
  if (!right || addresses.length > MAX_ADDRESSES || addresses.includes('') || !psk || !gateway || !store) {
    throw new PairingCodeError('that is not the text of a pairing QR code of this version')
  }
  return { psk, static: gateway, store }
}

/** The bytes of base64url without padding, if they are that many. */
function octets(text: string | null, length: number): Uint8Array | null {
  if (!text || !/^[\w-]+$/.test(text)) return null
  try {
    const bytes = Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0))
    return bytes.length === length ? bytes : null
  } catch {
    return null
  }
}
