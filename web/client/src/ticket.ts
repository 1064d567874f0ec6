// The ticket that pairing gives: it has to be of the store, signed by the gateway that gave it, and for this device
// (gateway/core/tickets.py; docs/protocol.md section 10). What it allows is the gateway's to judge.
import { checkStore, readCertificate, type Certificate } from './certificate'
import { equal } from './octets'
import { ID_BYTES, KEY_BYTES, readPair, readSigned, SERIAL_BYTES, UNAUTHORISED, Untrusted } from './signed'

const CONTEXT = 'store-gateway ticket'
const CLAIMS = 8

/** Whom the ticket names and who issued it. Throws `Malformed` or `Untrusted`. */
export function verifyTicket(credential: Uint8Array, root: Uint8Array, noiseKey: Uint8Array): { peer: Uint8Array; issuer: Certificate } {
  const [data, certificate] = readPair(credential)
  const issuer = readCertificate(certificate, root)
  const signed = readSigned(data, CONTEXT, CLAIMS)
  const { claims } = signed
  checkStore(claims.octets(1, ID_BYTES), issuer.store)
  if (!equal(claims.octets(8, SERIAL_BYTES), issuer.serial) || !signed.by(issuer.signing_key)) {
    throw new Untrusted(UNAUTHORISED, 'the ticket was not signed by this store: pair again')
  }
  if (!equal(claims.octets(2, KEY_BYTES), noiseKey)) {
    throw new Untrusted(UNAUTHORISED, 'the ticket belongs to another device: pair this one')
  }
  return { peer: claims.octets(3, ID_BYTES), issuer }
}
