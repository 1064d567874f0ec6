// One way to a gateway: who calls, when again, and when the other side counts as gone. What is said is the session's.
import type { Calling } from './entrance'
import { bluetoothKey, type Identity } from './identity'
import type { Link, Transport } from './link'
import type { PairingSecret } from './pairing-uri'
import { Session, type Introduction, type SessionEvents } from './session'

export type LinkState = 'connecting' | 'online' | 'offline' | 'refused'

const PING_MS = 15_000
const SILENCE_MS = 45_000
const PROBE_MS = 3_000
// Where another way waits to take over, a dead one is found out within seconds.
const SPARED_PING_MS = 2_000
const SPARED_ANSWER_MS = 4_000
const HANDSHAKE_MS = 10_000
// Whoever was not near by then may come any time, or never.
const SEARCH_MS = 10_000
const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 30_000
const REFUSED_WAIT_MS = 60_000
const STEADY_MS = 5_000
const TOO_MANY = 4429
const FATAL = new Set([4401, 4403, 4410, 4421, 4426])
// Only a new pairing mends these, where who said them had a right to.
const UNPAIRED = new Set([4401, 4410, 4421])
const UNPAIRED_REASON = 'this device is of no store yet, and nothing goes by Bluetooth but between members'

/** A call that shall make this device a member of a store. */
export interface Pairing { secret: PairingSecret; done(): void; failed(error: Error): void }

/** Whom a caller calls for. */
export interface Office {
  readonly identity: Identity
  readonly introduction: Introduction
  random(): number
  /** What this caller's next call is for, if it shall pair this device. */
  pairing(caller: Caller): Pairing | null
  /** With a membership never in the open, whatever answers. */
  entrance(gateway: string, pairing: Pairing | null): Calling | null
  /** If this way fails another one takes over. */
  hasSpare(caller: Caller): boolean
  /** State or session are other ones. */
  became(caller: Caller): void
  gained(caller: Caller, pairing: Pairing, membership: NonNullable<Calling['membership']>): void
  /** The call did not pair this device; `answered`: though somebody was reached. */
  notPaired(pairing: Pairing, answered: boolean, reason: string): void
  events(caller: Caller): Pick<SessionEvents, 'offered' | 'closed' | 'compared' | 'stated'>
}

interface End { code: number; reason: string; retryMs: number; told: boolean }

/** Calls until it is stopped. */
export class Caller {
  state: LinkState = 'connecting'
  reason = ''
  isStopped = true
  needsPairing = false
  session: Session | null = null
  /** It worked once. */
  proven = false
  /** It did not work the last time. */
  hasFailed = false
  private link: Link | null = null
  private attempts = 0
  private retry: ReturnType<typeof setTimeout> | undefined
  private deadline = Infinity
  private openedAt = 0
  private calledAt = 0
  private saidAt = 0
  private pingedAt = 0
  private answered = false
  private flushing = false
  private farewell: End | null = null
  // The gateway needs the place for others; there is nothing to say either.
  private isQuiet = false
  private gateway = ''
  // What the link of now is for, and how it is let in.
  private pairing: Pairing | null = null
  private calling: Calling | null = null

  constructor(readonly transport: Transport, private readonly office: Office) {}

  start(): void {
    if (!this.isStopped) return
    this.isStopped = false
    this.call()
  }

  /** Hang up, and do not call any more. Who never called is offline from then on, too. */
  stop(reason: string): void {
    if (this.isStopped && this.state !== 'connecting') return
    this.isStopped = true
    this.hangUp(reason)
    this.become('offline', reason)
  }

  /** Call anew, at once. */
  redial(reason: string): void {
    this.hangUp(reason)
    this.attempts = 0
    this.call()
  }

  /** The network came back, or somebody looks: do not wait for the back-off. */
  hurry(): void {
    this.attempts = 0
    if (this.link) this.probe()
    else this.call()
  }

  /** There is something to say. */
  wake(): void {
    if (this.isQuiet) this.call()
  }

  /** Find out whether the other side is still there. Bluetooth itself says when it is not. */
  probe(): void {
    if (!this.link || this.transport.kind !== 'network') return
    this.session?.ping()
    this.deadline = Date.now() + PROBE_MS
    this.flush()
  }

  /** Once a second. */
  tick(now: number): void {
    const { link } = this
    if (!link) return
    const isSpared = this.state === 'online' && this.office.hasSpare(this)
    const unanswered = this.pingedAt > link.heardAt ? now - this.pingedAt : 0
    const isSilent = this.session !== null && now - link.heardAt > SILENCE_MS
    if (now > this.deadline || isSilent || (isSpared && unanswered > SPARED_ANSWER_MS)) {
      link.abandon()
      this.lost({ code: 4408, reason: 'nothing was heard for too long', retryMs: 0, told: false })
    } else if (this.state === 'online' && (now - this.saidAt > PING_MS || (isSpared && !unanswered && now - link.heardAt > SPARED_PING_MS))) {
      this.pingedAt = now
      this.session?.ping()
      this.flush()
    } else if (this.state === 'connecting' && !this.session && now - this.calledAt > SEARCH_MS) {
      // It goes on looking.
      this.become('offline', 'no gateway is near')
    }
  }

  /** Everything said in one turn goes out together. */
  flush(): void {
    if (this.flushing) return
    this.flushing = true
    queueMicrotask(() => {
      this.flushing = false
      if (this.link?.hasRoom) this.drain()
    })
  }

  private call = (): void => {
    clearTimeout(this.retry)
    if (this.isStopped || this.link) return
    this.pairing = this.office.pairing(this)
    if (this.transport.kind === 'bluetooth' && !this.office.identity.membership && !this.pairing) {
      this.needsPairing = true
      return this.become('refused', UNPAIRED_REASON)
    }
    this.calledAt = Date.now()
    this.deadline = this.calledAt + this.transport.openingMs
    this.answered = false
    this.farewell = null
    this.isQuiet = false
    this.become('connecting', '')
    // A link that was hung up may still have something to say.
    const ifCurrent = <Values extends unknown[]>(act: (...values: Values) => void) => (...values: Values) => {
      if (this.link === link) act(...values)
    }
    const link = (this.link = this.transport.open({
      opened: ifCurrent((gateway: string) => this.begin(gateway)),
      message: ifCurrent((data: Uint8Array) => this.heard(data)),
      room: ifCurrent(() => this.flush()),
      closed: ifCurrent((code: number, reason: string, retryMs: number, told: boolean) =>
        this.lost(this.farewell ?? { code, reason, retryMs, told: told && !this.calling })),
    }))
  }

  private heard(data: Uint8Array): void {
    this.deadline = Infinity
    this.answered = true
    this.session?.receive(data)
    this.flush()
  }

  private begin(gateway: string): void {
    const { office, pairing } = this
    this.gateway = gateway
    this.deadline = Date.now() + HANDSHAKE_MS
    const calling = (this.calling = office.entrance(gateway, pairing))
    this.session = new Session(office.introduction, {
      ...office.events(this),
      opened: () => this.opened(),
      gained: (membership) => {
        this.needsPairing = false
        office.gained(this, pairing!, membership)
      },
      revoked: () => void office.identity.keepRevocations(),
      ended: (code, reason, retryMs, told) => {
        this.farewell = { code, reason, retryMs, told }
        this.drain()
        this.link?.close()
      },
    }, calling, this.transport.kind === 'bluetooth')
    this.drain()
  }

  private opened(): void {
    const { calling, office } = this
    this.openedAt = Date.now()
    this.needsPairing = false
    this.proven = true
    this.hasFailed = false
    if (calling) {
      // Met by one way it is known by the other.
      office.identity.meet(this.gateway, calling.channel.remoteStatic)
      office.identity.meet(bluetoothKey(calling.met!.peer), calling.channel.remoteStatic)
    }
    this.become('online', '')
  }

  private drain(): void {
    for (const message of this.session?.dataToSend() ?? []) {
      this.saidAt = Date.now()
      this.link?.send(message)
    }
  }

  private hangUp(reason: string): void {
    const { link } = this
    clearTimeout(this.retry)
    this.session?.close(1001, reason)
    if (!link) return
    if (!this.farewell) link.abandon()
    this.unlink()
  }

  private unlink(): void {
    this.link = this.session = this.calling = this.pairing = null
    this.deadline = Infinity
    this.openedAt = 0
  }

  private lost({ code, reason, retryMs, told }: End): void {
    const { calling, pairing, office, gateway, answered } = this
    if (this.openedAt && Date.now() - this.openedAt > STEADY_MS) this.attempts = 0
    this.unlink()
    this.hasFailed = true
    const failed = pairing !== null && pairing === office.pairing(this)
    if (failed) office.notPaired(pairing, answered, reason)
    else if (told && UNPAIRED.has(code)) this.needsPairing = true
    if (this.needsPairing) {
      // A stranger who got the store's address can say so too, until its gateway is back: no app should have to be touched then.
      if (office.identity.membership) this.retry = setTimeout(this.call, REFUSED_WAIT_MS)
      return this.become('refused', reason)
    }
    // It may be another gateway of the store: ask for its key.
    const anew = FATAL.has(code) && calling && !calling.met && office.identity.forget(gateway)
    const fatal = FATAL.has(code) && !failed && !anew
    this.isQuiet = code === TOO_MANY && answered && this.transport.kind === 'bluetooth'
    this.retry = setTimeout(this.call, fatal || this.isQuiet ? REFUSED_WAIT_MS : retryMs || this.wait())
    this.become(fatal ? 'refused' : 'offline', reason)
  }

  private wait(): number {
    const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.attempts++)
    return this.office.random() * most
  }

  private become(state: LinkState, reason: string): void {
    this.state = state
    this.reason = reason
    this.office.became(this)
  }
}
