// The calling side of a sealed link: handshake messages as NOISE records, then sealed batches (docs/protocol.md, "Secure
// layer"; gateway/core/channel.py). No I/O and no randomness: whoever makes a channel gives its secrets.
import { Handshake, NoiseError, Pattern, prologueOf, type Secrets, type Transport } from './noise'
import type { Message } from './wire'

type Noise = Extract<Message, { type: 'NOISE' }>
const MALFORMED = 4400
const UNAUTHORISED = 4401

/** Used once. What the peer does wrong throws `NoiseError`; after that it is unusable. */
export class Channel {
  private readonly handshake: Handshake
  private transport: Transport | null = null

  constructor(private readonly pattern: Pattern, secrets: Secrets) {
    this.handshake = new Handshake(pattern, true, secrets, prologueOf(pattern))
  }

  /** The handshake is complete: everything is sealed from now on. */
  get sealed(): boolean {
    return this.transport !== null
  }

  /** The static key that the peer proved; only once sealed. */
  get remoteStatic(): Uint8Array {
    if (!this.transport) throw new Error('nothing is proven before the handshake is complete')
    return this.handshake.remoteStatic!
  }

  /** The first handshake message. */
  call(): Noise {
    return this.write()
  }

  /** Take all records of the peer's next link message before `sealed`; what to answer, if anything. */
  step(records: Message[]): Noise | null {
    const [record] = records
    // Never on without the layer, whatever the other side offers.
    if (record?.type !== 'NOISE') throw new NoiseError(UNAUTHORISED, 'the other side does not speak sealed')
    if (records.length > 1) throw new NoiseError(MALFORMED, 'a handshake message comes alone')
    if (record.pattern !== this.pattern) throw new NoiseError(MALFORMED, 'a handshake that changes its pattern')
    this.handshake.read(record.message)
    const answer = this.handshake.done ? null : this.write()
    this.transport = this.handshake.split()
    return answer
  }

  /** The link message of a batch; only once sealed. */
  seal(batch: Uint8Array): Uint8Array {
    return this.transport!.seal(batch)
  }

  /** The batch of a link message; only once sealed. Throws `NoiseError`. */
  open(message: Uint8Array): Uint8Array {
    return this.transport!.open(message)
  }

  private write(): Noise {
    return { type: 'NOISE', pattern: this.pattern, message: this.handshake.write() }
  }
}
