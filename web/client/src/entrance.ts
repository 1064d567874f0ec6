// The calling side of a claimed gateway: which handshake, what is shown to be let in, and who answered
// (gateway/core/entrance.py; docs/protocol.md sections 3 and 10). No I/O; whoever makes one draws the ephemeral key.
import { ed25519 } from '@noble/curves/ed25519.js'
import { encodeMap } from './cbor'
import { checkStore, storeId, verifyCertificate, type Certificate } from './certificate'
import { Channel } from './channel'
import { KeyPair, Pattern } from './noise'
import { equal } from './octets'
import type { PairingSecret } from './pairing-uri'
import { Revocations } from './revocations'
import { REVOKED, UNAUTHORISED, Untrusted } from './signed'
import { verifyTicket } from './ticket'
import { Malformed, type Message } from './wire'

const AUTH_TICKET = 1
const AUTH_PAIR = 3
const AUTH_CERTIFICATE = 4
const FORM_VERSION = 1
const MAX_NAME_BYTES = 64
// A wish: the gateway's window decides.
const ROLE = 'device'
const encoder = new TextEncoder()

/** This device's own keys, made of two times 32 random bytes that nobody else has. */
export class Keys {
  readonly noise: KeyPair
  constructor(noise: Uint8Array, private readonly signing: Uint8Array) {
    this.noise = new KeyPair(noise)
  }
  get signingPublic(): Uint8Array {
    return ed25519.getPublicKey(this.signing)
  }
}

/** What this device is in its store: the store's root key, and the ticket it shows. */
export interface Membership { root: Uint8Array; credential: Uint8Array; revocations: Revocations }

export interface Caller {
  peer: Uint8Array
  keys: Keys
  membership: Membership | null
  /** The static key of the gateway at this address, if it was met before. */
  gateway?: Uint8Array
  /** To become a member by, and under which name. */
  pairing?: PairingSecret
  name: string
}

/** Used once. What the other side does wrong throws `NoiseError`, `Untrusted` or `Malformed`. */
export class Calling {
  readonly channel: Channel
  membership: Membership | null
  /** Who answered, once it proved that it is a gateway of our store. */
  met: Certificate | null = null

  constructor(private readonly caller: Caller, ephemeral: KeyPair) {
    const { keys, pairing, gateway } = caller
    this.membership = caller.membership
    const remoteStatic = pairing ? pairing.static : gateway
    const patterns = pairing ? [Pattern.XXpsk0, Pattern.IKpsk2] : [Pattern.XX, Pattern.IK]
    this.channel = new Channel(patterns[remoteStatic ? 1 : 0], { static: keys.noise, ephemeral, remoteStatic, psk: pairing?.psk })
  }

  /** What we show to be let in. */
  auth(): Message {
    if (this.caller.pairing) return { type: 'AUTH', method: AUTH_PAIR, credential: this.request() }
    return { type: 'AUTH', method: AUTH_TICKET, credential: this.membership!.credential }
  }

  /** What we are from now on. */
  take({ credential, root }: { credential: Uint8Array; root: Uint8Array }): Membership {
    const { pairing, peer, keys, membership } = this.caller
    if (!pairing) throw new Malformed('TICKET does not belong here')
    checkStore(storeId(root), pairing.store ?? storeId(root))
    const ticket = verifyTicket(credential, root, keys.noise.public)
    if (!equal(ticket.peer, peer)) throw new Untrusted(UNAUTHORISED, 'the ticket belongs to another device: pair this one')
    if (!equal(ticket.issuer.noise_key, this.channel.remoteStatic)) {
      throw new Untrusted(UNAUTHORISED, 'the ticket was issued by another gateway')
    }
    const revocations = membership && equal(membership.root, root) ? membership.revocations : new Revocations(root)
    return (this.membership = { root: root.slice(), credential: credential.slice(), revocations })
  }

  /** Who answered: only a gateway of our store that was not shut out will do. */
  meet({ method, credential }: { method: number; credential: Uint8Array }, peer: Uint8Array): void {
    if (!this.membership) throw new Malformed('MEMBER before TICKET')
    if (method !== AUTH_CERTIFICATE) throw new Untrusted(UNAUTHORISED, 'what answered is not a gateway')
    const certificate = verifyCertificate(credential, this.membership.root, this.channel.remoteStatic)
    if (!equal(certificate.peer, peer)) throw new Untrusted(UNAUTHORISED, 'the certificate belongs to another gateway')
    this.met = certificate
    this.check()
  }

  /** Throws `Untrusted` if who answered is shut out by now. */
  check(): void {
    if (this.met && this.membership!.revocations.includes(this.met)) {
      throw new Untrusted(REVOKED, 'this gateway was shut out of the store: go to another one')
    }
  }

  private request(): Uint8Array {
    return encodeMap([FORM_VERSION, shortName(this.caller.name), ROLE, this.caller.keys.signingPublic])
  }
}

/** A name as a gateway takes it: printable, 1 to 64 bytes. */
function shortName(name: string): string {
  let short = ''
  for (const letter of name.replace(/[\p{C}\p{Z}]+/gu, ' ').trim()) {
    if (encoder.encode(short + letter).length > MAX_NAME_BYTES) break
    short += letter
  }
  return short || ROLE
}
