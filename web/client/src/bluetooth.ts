// A link by Bluetooth LE (docs/bluetooth.md): opened by GATT, cut into segments, moved to an L2CAP channel where there is one.
import type { BluetoothAdapter, BluetoothChannel, BluetoothConnection, BluetoothSearch } from './adapter'
import { bluetoothKey, random } from './identity'
import type { Link, LinkEvents, Transport } from './link'
import { equal } from './octets'
import { INFO, NONCE_BYTES, opener, OpeningError, readAnswer, readInfo, RX, SERVICE, TX, type Answer, type Info } from './opening'
import { MAX_SEGMENT_BYTES, SegmentError, Segments } from './segments'
import { framed, MessageStream } from './stream'

const ANSWER_MS = 2_000
const TRIES = 4
// From the connection to the answer; systems need seconds to find out what a device offers.
const OPENING_MS = 20_000
const TICK_MS = 1_000
const FAREWELL_MS = 2_000
const FULL_WAIT_MS = 5_000
const CONGESTED_BYTES = 4_096
// What an attribute carries at the smallest MTU.
const LEAST_BYTES = 20
const LOST = 1006

export class BluetoothTransport implements Transport {
  readonly kind = 'bluetooth'
  // Whoever looks for an advertisement waits until there is one.
  readonly openingMs = Infinity
  // A device has one connection: the next link waits until the one before let it go.
  private last = Promise.resolve()

  constructor(private readonly adapter: BluetoothAdapter, private readonly isWanted: BluetoothSearch['isWanted']) {}

  get isToBeChosen(): boolean {
    return this.adapter.choose !== undefined
  }

  async choose(): Promise<void> {
    await this.adapter.choose?.(SERVICE)
  }

  open(events: LinkEvents): Link {
    const link = new BluetoothLink(this.adapter, this.isWanted, events)
    this.last = this.last.then(() => link.run())
    return link
  }
}

class BluetoothLink implements Link {
  heardAt = Date.now()
  private readonly nonce = random(NONCE_BYTES)
  private readonly aborter = new AbortController()
  private readonly over: Promise<void>
  private settle!: () => void
  private answer!: (answer: Answer) => void
  private readonly answered = new Promise<Answer>((resolve) => { this.answer = resolve })
  private timers: ReturnType<typeof setTimeout>[] = []
  private connection: BluetoothConnection | null = null
  private info: Info | null = null
  private segments: Segments | null = null
  private channel: BluetoothChannel | null = null
  private readonly stream = new MessageStream()
  // Messages that go by the channel.
  private outbox: Uint8Array[] = []
  private outboxBytes = 0
  private pumping = false
  private written = Promise.resolve()
  private closing = false
  private ended = false

  constructor(private readonly adapter: BluetoothAdapter, private readonly isWanted: BluetoothSearch['isWanted'], private readonly events: LinkEvents) {
    this.over = new Promise((resolve) => { this.settle = resolve })
  }

  get hasRoom(): boolean {
    return this.segments !== null && !this.closing && !this.segments.congested && this.outboxBytes <= CONGESTED_BYTES
  }

  /** Resolves when it is over; never rejects. */
  async run(): Promise<void> {
    if (this.ended) return
    try {
      const connection = await this.adapter.connect(SERVICE, { isWanted: this.isWanted, signal: this.aborter.signal })
      if (this.ended) return connection.disconnect()
      this.connection = connection
      connection.onDisconnect(() => this.end(LOST, 'the Bluetooth link was lost'))
      this.greet(connection).catch((error) => this.fail(error))
    } catch (error) {
      this.fail(error)
    }
    await this.over
  }

  send(message: Uint8Array): void {
    if (this.channel) {
      const bytes = framed(message)
      this.outbox.push(bytes)
      this.outboxBytes += bytes.length
    } else this.segments?.send(message)
    void this.pump()
  }

  close(): void {
    if (this.closing) return
    this.closing = true
    this.timers.push(setTimeout(() => this.end(LOST, 'the Bluetooth link was closed'), FAREWELL_MS))
    void this.pump()
  }

  abandon(): void {
    this.end(LOST, '', 0, false)
  }

  private async greet(connection: BluetoothConnection): Promise<void> {
    this.timers.push(setTimeout(() => this.end(4408, 'the gateway does not answer by Bluetooth'), OPENING_MS))
    const info = (this.info = readInfo(await connection.read(INFO)))
    if (!info.place) throw new OpeningError(4429, 'the gateway talks to as many devices by Bluetooth as it can')
    await connection.subscribe(TX[info.place - 1], (value) => this.notified(value))
    for (let tries = 0; tries < TRIES && !this.ended && !this.segments; tries++) {
      await this.write(opener(this.nonce, connection.notificationBytes ?? 0), true)
      await Promise.race([this.answered, this.over, this.after(ANSWER_MS)])
    }
    if (this.ended) return
    if (!this.segments) throw new OpeningError(4408, 'the gateway does not answer by Bluetooth')
    if (info.psm && connection.openChannel) await this.move(connection, info.psm)
  }

  private notified(value: Uint8Array): void {
    if (this.ended) return
    this.heardAt = Date.now()
    const answer = readAnswer(value)
    if (answer && equal(answer.nonce, this.nonce)) this.told(answer)
    // What comes before the answer is of an earlier link.
    else if (this.segments) this.guarded((now) => this.received(this.segments!.receive(value, now)))
  }

  private told(answer: Answer): void {
    if (answer.refused) return this.fail(new OpeningError(answer.number, 'the gateway ended the Bluetooth link'))
    if (this.segments) return
    const bytes = Math.min(answer.number, this.connection!.writeBytes ?? MAX_SEGMENT_BYTES, MAX_SEGMENT_BYTES)
    this.segments = new Segments(Math.max(bytes, LEAST_BYTES))
    this.clearTimers()
    this.timers.push(setInterval(this.tick, TICK_MS))
    this.answer(answer)
    this.events.opened(bluetoothKey(this.info!.peer))
  }

  private received(message: Uint8Array | null): void {
    if (message) this.events.message(message)
    if (this.segments!.movedIn) this.readStream()
    void this.pump()
  }

  private tick = (): void => {
    this.guarded((now) => {
      this.segments!.check(now)
      if (this.segments!.movedIn) this.stream.check(now)
    })
  }

  /** Go on by an L2CAP channel; without one it goes on as it is. */
  private async move(connection: BluetoothConnection, psm: number): Promise<void> {
    let channel: BluetoothChannel
    try {
      channel = await connection.openChannel!(psm)
      this.listen(channel)
      await channel.write(Uint8Array.of(1))
    } catch {
      return
    }
    if (this.ended || this.closing) return channel.close()
    this.channel = channel
    this.outbox = this.segments!.move().map(framed)
    this.outboxBytes = this.outbox.reduce((sum, { length }) => sum + length, 0)
    void this.pump()
  }

  private listen(channel: BluetoothChannel): void {
    channel.onData((data) => {
      this.heardAt = Date.now()
      this.stream.push(data, this.heardAt)
      // Before that the rest of what came by GATT is on its way.
      if (this.segments!.movedIn) this.guarded(() => this.readStream())
    })
    channel.onClose(() => { if (this.channel) this.end(LOST, 'the Bluetooth channel was lost') })
  }

  private readStream(): void {
    for (let message; !this.ended && (message = this.stream.next()); ) this.events.message(message)
  }

  /** Write what there is, one after the other. */
  private async pump(): Promise<void> {
    if (this.pumping || this.ended) return
    this.pumping = true
    try {
      for (;;) {
        const hadRoom = this.hasRoom
        const write = this.ended ? null : this.nextWrite()
        if (!write) break
        await write()
        if (!hadRoom && this.hasRoom) this.events.room()
      }
    } catch (error) {
      this.fail(error)
    }
    this.pumping = false
    if (this.closing) this.end(1000, '')
  }

  private nextWrite(): (() => Promise<void>) | null {
    const segment = this.segments?.next(Date.now())
    if (segment) return () => this.write(segment, false)
    const bytes = this.outbox.shift()
    if (!bytes) return null
    return async () => {
      await this.channel!.write(bytes)
      this.outboxBytes -= bytes.length
    }
  }

  /** One at a time: the answer may come before the write of the opener is done. */
  private write(bytes: Uint8Array, withResponse: boolean): Promise<void> {
    this.written = this.written.then(() => this.connection!.write(RX, bytes, withResponse))
    return this.written
  }

  private guarded(act: (now: number) => void): void {
    try {
      act(Date.now())
    } catch (error) {
      if (!(error instanceof SegmentError)) throw error
      this.fail(error)
    }
  }

  private fail(error: unknown): void {
    const { message } = error as Error
    if (!(error instanceof SegmentError || error instanceof OpeningError)) return this.end(LOST, message)
    this.end(error.code, message, error.code === 4429 ? FULL_WAIT_MS : 0)
  }

  private end(code: number, reason: string, retryMs = 0, isHeard = true): void {
    if (this.ended) return
    this.ended = true
    this.clearTimers()
    this.aborter.abort()
    try {
      this.channel?.close()
      this.connection?.disconnect()
    } catch {
      // It was gone already.
    }
    this.settle()
    if (isHeard) this.events.closed(code, reason, retryMs, false)
  }

  private after(ms: number): Promise<void> {
    return new Promise((resolve) => { this.timers.push(setTimeout(resolve, ms)) })
  }

  private clearTimers(): void {
    for (const timer of this.timers) clearTimeout(timer)
    this.timers = []
  }
}
