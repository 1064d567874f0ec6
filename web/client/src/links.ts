// All ways to the gateway: the best that works carries the documents, the others wait. Who this device is, and how it is paired.
import type { BluetoothAdapter } from './adapter'
import { isOfStore, readBeacon, State } from './beacon'
import { BluetoothTransport } from './bluetooth'
import { Caller, type LinkState, type Office, type Pairing } from './caller'
import { Calling, type Membership } from './entrance'
import { Unreached } from './errors'
import { bluetoothKey, Identity, random } from './identity'
import type { Transport } from './link'
import { KeyPair } from './noise'
import { equal } from './octets'
import { pairingSecret } from './pairing-uri'
import type { Introduction, Session, SessionEvents } from './session'
import { WebBluetooth } from './web-bluetooth'
import { WebSocketTransport } from './websocket'
import type { Pairs } from './wire'

const KEY_BYTES = 32
const UNCHOSEN_REASON = 'no gateway was chosen: call chooseBluetooth() from a button'

export interface LinkOptions {
  /** ws://host:port, with or without /mesh; http(s) addresses are understood too. */
  url?: string
  /** The gateway by Bluetooth LE: true for that of the browser, or an adapter for that of the platform. */
  bluetooth?: boolean | BluetoothAdapter
  /** While the network carries everything the Bluetooth link is kept, to take over at once, or dropped, to save the battery. */
  bluetoothIdle?: 'keep' | 'drop'
  token?: string
  /** What peers and the status page show of this device. */
  name?: string
  app?: string
  appVersion?: string
  schema?: string
  WebSocket?: typeof WebSocket
  random?: () => number
}

export interface LinksEvents extends Pick<SessionEvents, 'offered' | 'closed' | 'compared'> {
  /** Everything goes by this session from now on. */
  entered(session: Session): void
  left(session: Session): void
  /** State, reason or way are other ones. */
  changed(): void
  paired(): void
  /** Something of this device is not on a gateway. */
  owes(): boolean
  /** All that is wanted was asked for by this session, and came. */
  isSettled(): boolean
}

export class Links implements Office {
  state: LinkState = 'connecting'
  reason = ''
  // Once it is read; no caller starts before.
  identity!: Identity
  introduction!: Introduction
  private readonly callers: Caller[]
  private readonly bluetooth: BluetoothTransport | undefined
  private readonly identified: Promise<void>
  private active: { caller: Caller; session: Session } | null = null
  private invitation: { pairing: Pairing; ways: Caller[] } | null = null
  private ended = false
  private hasChosen = false
  // By gateway: the state in which this device had everything of it.
  private readonly told = new Map<string, Uint8Array>()

  constructor(private readonly options: LinkOptions, private readonly owner: LinksEvents) {
    this.bluetooth = options.bluetooth ? new BluetoothTransport(adapter(options.bluetooth), this.isWanted) : undefined
    this.callers = transports(options, this.bluetooth).map((transport) => new Caller(transport, this))
    globalThis.addEventListener?.('online', this.hurry)
    globalThis.addEventListener?.('offline', this.probe)
    globalThis.document?.addEventListener('visibilitychange', this.hurry)
    this.identified = this.identify()
  }

  /** This device is a member of a store. */
  get paired(): boolean {
    return !!this.identity?.membership
  }

  get needsPairing(): boolean {
    return this.foremost.needsPairing
  }

  /** By what everything goes now. */
  get via(): Transport['kind'] | null {
    return this.active?.caller.transport.kind ?? null
  }

  async pair(code: string): Promise<void> {
    const secret = pairingSecret(code)
    await this.identified
    if (this.ended) throw new Unreached('the store was ended')
    this.invitation?.pairing.failed(new Unreached('another code was given'))
    await new Promise<void>((done, failed) => {
      const ways = this.callers.filter((caller) => !this.isUnchosen(caller))
      ways.sort((one, other) => Number(other.state === 'online') - Number(one.state === 'online'))
      if (!ways.length) return failed(new Unreached(UNCHOSEN_REASON))
      this.invitation = { pairing: { secret, done, failed }, ways }
      this.callNext(ways[0])
    })
  }

  /** Let the user choose a gateway; called from a tap or click, as browsers demand. */
  async chooseBluetooth(): Promise<void> {
    if (!this.bluetooth) throw new Unreached('this store does not use Bluetooth: give connect() the option bluetooth')
    await this.bluetooth.choose()
    this.hasChosen = true
    await this.identified
    for (const caller of this.callers) if (caller.transport === this.bluetooth) this.callNext(caller)
  }

  /** Whether a gateway that advertises this digest has nothing that this device lacks, nor this device anything to say. */
  upToDate(digest: Uint8Array): boolean {
    return !this.owner.owes() && [...this.told.values()].some((one) => equal(one, digest))
  }

  /** More is wanted than what the gateways said all of. */
  wantsMore(): void {
    this.told.clear()
  }

  flush(): void {
    if (this.active) this.active.caller.flush()
    else if (this.owner.owes()) for (const caller of this.callers) caller.wake()
  }

  tick(now: number): void {
    for (const caller of this.callers) caller.tick(now)
  }

  end(): void {
    this.ended = true
    this.invitation?.pairing.failed(new Unreached('the store was ended'))
    globalThis.removeEventListener?.('online', this.hurry)
    globalThis.removeEventListener?.('offline', this.probe)
    globalThis.document?.removeEventListener('visibilitychange', this.hurry)
    for (const caller of this.callers) caller.stop('the app ended')
    this.identity?.close()
  }

  random(): number {
    return (this.options.random ?? Math.random)()
  }

  pairing(caller: Caller): Pairing | null {
    return this.invitation?.ways[0] === caller ? this.invitation.pairing : null
  }

  entrance(gateway: string, pairing: Pairing | null): Calling | null {
    const { peer, keys, membership } = this.identity
    if (!membership && !pairing) return null
    const name = this.options.name ?? this.options.app ?? ''
    const known = this.identity.gateway(gateway)
    return new Calling({ peer, keys, membership, gateway: known, pairing: pairing?.secret, name }, new KeyPair(random(KEY_BYTES)))
  }

  hasSpare(caller: Caller): boolean {
    return this.callers.slice(this.callers.indexOf(caller) + 1).some(({ proven }) => proven)
  }

  became(): void {
    if (this.ended) return
    this.choose()
    const { state, reason } = this.foremost
    this.state = state
    this.reason = reason
    this.owner.changed()
  }

  gained(caller: Caller, pairing: Pairing, membership: Membership): void {
    void this.identity.gain(membership).then(pairing.done)
    this.invitation = null
    this.told.clear()
    this.owner.paired()
    this.comeBack(this.callers.filter((other) => other !== caller))
  }

  notPaired(pairing: Pairing, answered: boolean, reason: string): void {
    const { ways } = this.invitation!
    ways.shift()
    // Who was reached and said no is not asked again: each wrong try counts.
    if (!answered && ways.length) return this.callNext(ways[0])
    this.invitation = null
    pairing.failed(new Unreached(reason || 'the gateway was not reached'))
  }

  events(caller: Caller): Pick<SessionEvents, 'offered' | 'closed' | 'compared' | 'stated'> {
    const isActive = () => this.active?.caller === caller
    return {
      offered: (name) => { if (isActive()) this.owner.offered(name) },
      closed: (name) => { if (isActive()) this.owner.closed(name) },
      compared: (subscription, differing) => { if (isActive()) this.owner.compared(subscription, differing) },
      stated: (digest, peer) => { if (isActive()) this.stated(bluetoothKey(peer), digest) },
    }
  }

  /** The gateway knows only of what was asked for by then. */
  private stated(gateway: string, digest: Uint8Array): void {
    if (this.owner.isSettled()) this.told.set(gateway, digest)
    else this.told.delete(gateway)
  }

  private async identify(): Promise<void> {
    const identity = await Identity.load()
    if (this.ended) return identity.close()
    this.identity = identity
    this.introduction = { peer: identity.peer, about: about(this.options), token: this.options.token }
    // Another window was paired: come back as what this device is now.
    identity.onGained = () => {
      this.owner.paired()
      if (!this.invitation) this.comeBack(this.callers)
    }
    this.choose()
  }

  private comeBack(callers: Caller[]): void {
    for (const caller of this.callers) caller.needsPairing = false
    for (const caller of callers) caller.redial('this device comes back as another member')
  }

  private callNext(caller: Caller): void {
    caller.start()
    caller.redial('this device calls anew')
  }

  /** Move everything to the best link that is open. */
  private choose(): void {
    const caller = this.callers.find(({ state }) => state === 'online')
    const session = caller?.session ?? null
    const { active } = this
    if (session !== (active?.session ?? null)) {
      this.active = null
      if (active) this.owner.left(active.session)
      active?.caller.flush()
      if (caller && session) {
        this.active = { caller, session }
        this.owner.entered(session)
      }
    }
    for (const one of this.callers) {
      if (this.isSpared(one)) one.stop(this.isUnchosen(one) ? UNCHOSEN_REASON : 'the network carries everything')
      else one.start()
    }
  }

  /** Bluetooth that is not wanted while the network works, or was not tried. */
  private isSpared(caller: Caller): boolean {
    const [first] = this.callers
    if (this.isUnchosen(caller)) return true
    if (this.options.bluetoothIdle !== 'drop' || caller === first || this.invitation) return false
    return first.state === 'online' || (first.state === 'connecting' && !first.hasFailed)
  }

  /** Nobody told the browser yet which gateway it may talk to, and there is none from before. */
  private isUnchosen({ transport }: Caller): boolean {
    return transport === this.bluetooth && this.bluetooth.isToBeChosen && !this.hasChosen && !this.paired
  }

  /** The caller that people want to hear of. */
  private get foremost(): Caller {
    const [first] = this.callers
    const rank = (caller: Caller) => {
      if (caller.state === 'online') return 0
      // Without the network this device could work by Bluetooth, were it paired; unless its gateway is open.
      if (caller.needsPairing) return caller === first || (first.hasFailed && !first.proven) ? 1 : 5
      return 2 + ['connecting', 'offline', 'refused'].indexOf(caller.state)
    }
    return this.callers.filter(({ isStopped }) => !isStopped).reduce((one, other) => (rank(other) < rank(one) ? other : one), first)
  }

  private isWanted = (name: string): boolean => {
    const beacon = readBeacon(name)
    if (!beacon) return false
    if (this.invitation) return (beacon.state & State.PAIRING) !== 0
    const root = this.identity.membership?.root
    if (!root || !isOfStore(root, beacon.token)) return false
    return (beacon.state & State.FULL) === 0 && !this.upToDate(beacon.digest)
  }

  private hurry = (): void => {
    if (globalThis.document?.visibilityState === 'hidden' || !this.identity) return
    for (const caller of this.callers) caller.hurry()
  }

  private probe = (): void => {
    for (const caller of this.callers) caller.probe()
  }
}

function adapter(bluetooth: true | BluetoothAdapter): BluetoothAdapter {
  return bluetooth === true ? new WebBluetooth() : bluetooth
}

function transports({ url, WebSocket }: LinkOptions, bluetooth: BluetoothTransport | undefined): Transport[] {
  const network = url === undefined ? [] : [new WebSocketTransport(url, WebSocket)]
  const ways = bluetooth ? [...network, bluetooth] : network
  if (!ways.length) throw new TypeError('give connect() a url, bluetooth, or both')
  return ways
}

function about({ name, app, appVersion, schema }: LinkOptions): Pairs {
  const pairs: [string, string | undefined][] = [['app', app], ['app-version', appVersion], ['schema', schema], ['name', name]]
  return pairs.filter((pair): pair is [string, string] => pair[1] !== undefined)
}
