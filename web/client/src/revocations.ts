// Who is shut out of a store, as signed entries that every member keeps and passes on (gateway/core/revocations.py;
// docs/protocol.md sections 4 and 10). Entries merge by union; nothing is taken back.
import { sha256 } from '@noble/hashes/sha2.js'
import { checkStore, readCertificate, storeId, type Certificate } from './certificate'
import { compare, equal, hex, joined } from './octets'
import { ID_BYTES, MAX_EPOCH, readPair, readSigned, SERIAL_BYTES, UNAUTHORISED, Untrusted } from './signed'
import { Malformed } from './wire'

// Of one signer: somebody with a stolen gateway must not use up the room of the others.
export const MAX_ENTRIES = 1_024
const DIGEST_BYTES = 16
const CONTEXT = 'store-gateway revocation'
const CLAIMS = 5
const CERTIFICATE = 2
const PEER = 3
const SUBJECT_BYTES: Record<number, number> = { 1: ID_BYTES, [CERTIFICATE]: SERIAL_BYTES, [PEER]: ID_BYTES }

interface Kept { epoch: number; entry: Uint8Array; issuer: string }

/** All that was revoked in one store, as far as it is known here. */
export class Revocations {
  // By kind and subject, as text that sorts as these do.
  private readonly kept = new Map<string, Kept>()
  // What comes again costs no signature.
  private readonly known = new Set<string>()

  constructor(private readonly root: Uint8Array) {}

  /** Whether the entry was new, and is to be kept and passed on. Throws `Malformed` or `Untrusted` if it is not of this store. */
  add(entry: Uint8Array): boolean {
    const text = hex(entry)
    if (this.known.has(text)) return false
    const [key, offered] = read(entry, this.root)
    const before = this.kept.get(key)
    // Of two that say the same the bytes decide, so that all keep the same one.
    if (before && (offered.epoch - before.epoch || compare(entry, before.entry)) <= 0) return false
    if (before?.issuer !== offered.issuer && this.countOf(offered.issuer) >= MAX_ENTRIES) return false
    if (before) this.known.delete(hex(before.entry))
    this.kept.set(key, offered)
    this.known.add(text)
    return true
  }

  /** Whether a gateway's certificate, or the gateway, was shut out. */
  includes(certificate: Certificate): boolean {
    const ofPeer = this.kept.get(keyOf(PEER, certificate.peer))
    return this.kept.has(keyOf(CERTIFICATE, certificate.serial)) || certificate.epoch < (ofPeer?.epoch ?? 0)
  }

  /** All that are kept, in an order that depends only on what they are. */
  entries(): Uint8Array[] {
    return [...this.kept].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, { entry }]) => entry)
  }

  /** The same 16 bytes for the same entries, and for no others. */
  digest(): Uint8Array {
    return sha256(joined(this.entries().map((entry) => sha256(entry)))).slice(0, DIGEST_BYTES)
  }

  private countOf(issuer: string): number {
    let count = 0
    for (const kept of this.kept.values()) if (kept.issuer === issuer) count++
    return count
  }
}

function read(entry: Uint8Array, root: Uint8Array): [key: string, kept: Kept] {
  const [data, certificate] = readPair(entry)
  const signer = certificate.length ? readCertificate(certificate, root) : { signing_key: root, serial: new Uint8Array() }
  const signed = readSigned(data, CONTEXT, CLAIMS)
  const { claims } = signed
  const kind = claims.number(2, PEER)
  if (!(kind in SUBJECT_BYTES)) throw new Malformed('a kind of subject that is not known')
  const subject = claims.octets(3, SUBJECT_BYTES[kind])
  const epoch = claims.number(4, MAX_EPOCH)
  const issuer = claims.octets(5, 0, SERIAL_BYTES)
  checkStore(claims.octets(1, ID_BYTES), storeId(root))
  if (!equal(issuer, signer.serial) || !signed.by(signer.signing_key)) {
    throw new Untrusted(UNAUTHORISED, 'the revocation was not signed by this store')
  }
  return [keyOf(kind, subject), { epoch, entry: entry.slice(), issuer: hex(issuer) }]
}

function keyOf(kind: number, subject: Uint8Array): string {
  return `${kind}${hex(subject)}`
}
