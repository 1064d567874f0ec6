// Handshakes and the protection of a link (docs/protocol.md, "Secure layer"): the Noise Protocol Framework,
// revision 34, with four patterns and 25519_ChaChaPoly_SHA256. The caller gives all keys and draws what is random.
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { joined } from './octets'

const KEY_BYTES = 32
const TAG_BYTES = 16
export const MAX_NOISE_BYTES = 65_535
const PIECE_BYTES = MAX_NOISE_BYTES - TAG_BYTES
// Nothing is encrypted under this one (section 5.1); there is no rekeying.
const MAX_NONCE = 2n ** 64n - 1n
const PROLOGUE = 'store-gateway/1'
const NOTHING = new Uint8Array()
const ascii = (text: string) => new TextEncoder().encode(text)

const TOO_BIG = 1009
const RESET = 4205
const MALFORMED = 4400
const UNAUTHORISED = 4401

/** What the peer sent cannot be accepted; the link is closed with the code. */
export class NoiseError extends Error {
  constructor(readonly code: number, reason: string) {
    super(reason)
  }
}

/** The numbers are those of the NOISE record: a paired peer, a scanned code, a typed code, members of one store. */
export enum Pattern { IK, IKpsk2, XXpsk0, XX }

type Key = 'e' | 's'
type Token = Key | 'ee' | 'es' | 'se' | 'ss' | 'psk'
interface Shape {
  name: string
  /** The initiator has the responder's static key from the beginning. */
  known: boolean
  messages: Token[][]
}

// Sections 7.5 and 9.4; the initiator writes the first message. The letters of an exchange: the initiator's key, the responder's.
const SHAPES: Record<Pattern, Shape> = {
  [Pattern.IK]: { name: 'IK', known: true, messages: [['e', 'es', 's', 'ss'], ['e', 'ee', 'se']] },
  [Pattern.IKpsk2]: { name: 'IKpsk2', known: true, messages: [['e', 'es', 's', 'ss'], ['e', 'ee', 'se', 'psk']] },
  [Pattern.XXpsk0]: { name: 'XXpsk0', known: false, messages: [['psk', 'e'], ['e', 'ee', 's', 'es'], ['s', 'se']] },
  [Pattern.XX]: { name: 'XX', known: false, messages: [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']] },
}

/** What both sides of a link put before a handshake of this pattern. */
export const prologueOf = (pattern: Pattern) => joined([ascii(PROLOGUE), Uint8Array.of(pattern)])

export class KeyPair {
  readonly public: Uint8Array
  /** `secret` are 32 random bytes. */
  constructor(private readonly secret: Uint8Array) {
    this.public = x25519.getPublicKey(secret)
  }
  exchange(other: Uint8Array): Uint8Array {
    try {
      return x25519.getSharedSecret(this.secret, other)
    } catch {
      throw new NoiseError(MALFORMED, 'a public key of low order')
    }
  }
}

/** One key and the number of messages it has encrypted or decrypted. */
class CipherState {
  next = 0n
  constructor(private readonly key: Uint8Array) {}
  encrypt(data: Uint8Array, plaintext: Uint8Array): Uint8Array {
    return chacha20poly1305(this.key, this.nonce(), data).encrypt(plaintext)
  }
  decrypt(data: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    const nonce = this.nonce()
    try {
      return chacha20poly1305(this.key, nonce, data).decrypt(ciphertext)
    } catch {
      throw new NoiseError(UNAUTHORISED, 'a message that is not authentic')
    }
  }
  private nonce(): Uint8Array {
    if (this.next === MAX_NONCE) throw new NoiseError(RESET, 'this link has carried all it can; connect anew')
    const nonce = new Uint8Array(12)
    new DataView(nonce.buffer).setBigUint64(4, this.next++, true)
    return nonce
  }
}

class SymmetricState {
  hash: Uint8Array
  private chain: Uint8Array
  private cipher: CipherState | null = null
  constructor(protocol: Uint8Array) {
    this.hash = protocol.length > 32 ? sha256(protocol) : joined([protocol, new Uint8Array(32 - protocol.length)])
    this.chain = this.hash
  }
  get hasKey(): boolean {
    return this.cipher !== null
  }
  mixHash(data: Uint8Array): void {
    this.hash = sha256(joined([this.hash, data]))
  }
  mixKey(secret: Uint8Array): void {
    const [chain, key] = hkdf(this.chain, secret, 2)
    this.chain = chain
    this.cipher = new CipherState(key)
  }
  mixKeyAndHash(secret: Uint8Array): void {
    const [chain, seed, key] = hkdf(this.chain, secret, 3)
    this.chain = chain
    this.mixHash(seed)
    this.cipher = new CipherState(key)
  }
  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const data = this.cipher ? this.cipher.encrypt(this.hash, plaintext) : plaintext
    this.mixHash(data)
    return data
  }
  decryptAndHash(data: Uint8Array): Uint8Array {
    const plaintext = this.cipher ? this.cipher.decrypt(this.hash, data) : data
    this.mixHash(data)
    return plaintext
  }
  split(): CipherState[] {
    return hkdf(this.chain, NOTHING, 2).map((key) => new CipherState(key))
  }
}

export interface Secrets {
  static: KeyPair
  /** Drawn for this handshake and never used again. */
  ephemeral: KeyPair
  /** The responder's public key, which an initiator of IK and IKpsk2 needs. */
  remoteStatic?: Uint8Array
  /** 32 bytes, where the pattern has them. */
  psk?: Uint8Array
}

type State = 'writing' | 'reading' | 'done' | 'over'

/**
 * One side of a handshake, used once: `write` and `read` in turn, then `split`. After any error it is unusable. In IK the
 * first payload may be a replay, and in IKpsk2 nothing the responder reads proves that the peer knows the secret: until the
 * first message of the transport was opened nothing may be granted.
 */
export class Handshake {
  private readonly shape: Shape
  private readonly symmetric: SymmetricState
  private readonly ours: Record<Key, KeyPair>
  private readonly theirs: Partial<Record<Key, Uint8Array>> = {}
  private past = 0
  private state: State

  constructor(pattern: Pattern, private readonly initiator: boolean, private readonly secrets: Secrets, prologue: Uint8Array) {
    this.shape = SHAPES[pattern]
    this.check('a remote static key', secrets.remoteStatic, this.shape.known && initiator)
    this.check('a pre-shared key', secrets.psk, this.hasPsk)
    this.ours = { e: secrets.ephemeral, s: secrets.static }
    this.symmetric = new SymmetricState(ascii(`Noise_${this.shape.name}_25519_ChaChaPoly_SHA256`))
    this.symmetric.mixHash(prologue)
    if (this.shape.known) {
      this.theirs.s = secrets.remoteStatic
      this.symmetric.mixHash(secrets.remoteStatic ?? secrets.static.public)
    }
    this.state = this.turn()
  }

  /** All messages were written and read; `split` is next. */
  get done(): boolean {
    return this.state === 'done'
  }
  /** `write` is next. */
  get isWriting(): boolean {
    return this.state === 'writing'
  }
  /** The peer's static key as soon as it is known; proven once done. */
  get remoteStatic(): Uint8Array | undefined {
    return this.theirs.s
  }
  /** The same on both sides once done, and in no other handshake. */
  get handshakeHash(): Uint8Array {
    return this.symmetric.hash
  }

  write(payload = NOTHING): Uint8Array {
    this.begin('writing')
    const parts = this.tokens().map((token) => this.writeToken(token))
    const message = joined([...parts, this.symmetric.encryptAndHash(payload)])
    if (message.length > MAX_NOISE_BYTES) throw new Error(`a payload of ${payload.length} bytes is too long`)
    this.finish()
    return message
  }

  /** The payload of the peer's message. Throws `NoiseError`. */
  read(message: Uint8Array): Uint8Array {
    this.begin('reading')
    if (message.length > MAX_NOISE_BYTES) throw new NoiseError(TOO_BIG, 'a handshake message that is too long')
    const rest = this.tokens().reduce((left, token) => this.readToken(token, left), message)
    if (this.symmetric.hasKey) cut(rest, TAG_BYTES)
    const payload = this.symmetric.decryptAndHash(rest)
    this.finish()
    return payload
  }

  /** What protects the link from now on; the handshake is over. */
  split(): Transport {
    this.begin('done')
    const [first, second] = this.symmetric.split()
    return this.initiator ? new Transport(first, second) : new Transport(second, first)
  }

  private get hasPsk(): boolean {
    return this.shape.messages.flat().includes('psk')
  }
  private tokens(): Token[] {
    return this.shape.messages[this.past]
  }
  private check(name: string, value: Uint8Array | undefined, needed: boolean): void {
    if (needed ? value?.length !== KEY_BYTES : value) throw new Error(`${this.shape.name}: ${name} of ${KEY_BYTES} bytes, or none`)
  }
  private begin(state: State): void {
    const now = this.state
    // Over, unless what begins here comes to its end.
    this.state = 'over'
    if (now !== state) throw new Error(`a handshake that is ${now} cannot be ${state}`)
  }
  private finish(): void {
    this.past++
    this.state = this.turn()
  }
  private turn(): State {
    if (this.past === this.shape.messages.length) return 'done'
    return this.initiator === (this.past % 2 === 0) ? 'writing' : 'reading'
  }
  private writeToken(token: Token): Uint8Array {
    if (token === 'e') return this.takeEphemeral(this.ours.e.public)
    if (token === 's') return this.symmetric.encryptAndHash(this.ours.s.public)
    this.mix(token)
    return NOTHING
  }
  /** Take a token off the front of a message. */
  private readToken(token: Token, message: Uint8Array): Uint8Array {
    if (token === 'e' || token === 's') {
      const [key, rest] = cut(message, token === 'e' ? KEY_BYTES : KEY_BYTES + TAG_BYTES)
      this.theirs[token] = token === 'e' ? this.takeEphemeral(key) : this.symmetric.decryptAndHash(key)
      return rest
    }
    this.mix(token)
    return message
  }
  private takeEphemeral(key: Uint8Array): Uint8Array {
    this.symmetric.mixHash(key)
    // Section 9.2: with a pre-shared key ephemeral keys are what makes each key new.
    if (this.hasPsk) this.symmetric.mixKey(key)
    return key
  }
  private mix(token: Exclude<Token, Key>): void {
    if (token === 'psk') return this.symmetric.mixKeyAndHash(this.secrets.psk!)
    const [one, other] = token as unknown as [Key, Key]
    const [ours, theirs] = this.initiator ? [one, other] : [other, one]
    this.symmetric.mixKey(this.ours[ours].exchange(this.theirs[theirs]!))
  }
}

/** How long the link message of a batch is. */
export const sealedBytes = (batchBytes: number) => batchBytes + TAG_BYTES * Math.ceil(batchBytes / PIECE_BYTES)

/** Both directions of a protected link, messages in order, none lost. Any error ends it. */
export class Transport {
  private over = false
  constructor(private readonly sending: CipherState, private readonly receiving: CipherState) {}

  /** The link message of a batch, which is not empty. */
  seal(batch: Uint8Array): Uint8Array {
    if (!batch.length) throw new Error('a batch holds a record')
    this.begin()
    return this.end(pieces(batch, PIECE_BYTES).map((piece) => this.sending.encrypt(NOTHING, piece)))
  }

  /** The batch of a link message. Throws `NoiseError`. */
  open(message: Uint8Array): Uint8Array {
    this.begin()
    const last = message.length % MAX_NOISE_BYTES
    // No piece is empty, so there is one way to cut a batch.
    if (!message.length || (last > 0 && last <= TAG_BYTES)) throw new NoiseError(MALFORMED, 'a message that is cut off')
    return this.end(pieces(message, MAX_NOISE_BYTES).map((piece) => this.receiving.decrypt(NOTHING, piece)))
  }

  private begin(): void {
    if (this.over) throw new Error('this link is over')
    // Unless what begins here comes to its end.
    this.over = true
  }
  private end(parts: Uint8Array[]): Uint8Array {
    this.over = false
    return joined(parts)
  }
}

function pieces(data: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(data.length / size) }, (_, index) => data.subarray(index * size, (index + 1) * size))
}

// Section 4.3; RFC 5869 without information.
function hkdf(chain: Uint8Array, secret: Uint8Array, count: number): Uint8Array[] {
  const extracted = hmac(sha256, chain, secret)
  const outputs: Uint8Array[] = []
  for (let number = 1; number <= count; number++) {
    outputs.push(hmac(sha256, extracted, joined([outputs[number - 2] ?? NOTHING, Uint8Array.of(number)])))
  }
  return outputs
}

function cut(message: Uint8Array, size: number): [Uint8Array, Uint8Array] {
  if (message.length < size) throw new NoiseError(MALFORMED, 'a handshake message that is cut off')
  return [message.slice(0, size), message.subarray(size)]
}
