// A link over WebSocket: one binary message each.
import type { Link, LinkEvents, Transport } from './link'

const OPENING_MS = 10_000
const OPEN = 1
const FORBIDDEN_REASON = 'this page may not open that address: a page that came by https:// needs one with wss://'

export class WebSocketTransport implements Transport {
  readonly kind = 'network'
  readonly openingMs = OPENING_MS
  private readonly url: string

  constructor(url: string, private readonly Socket = globalThis.WebSocket) {
    if (!Socket) throw new TypeError('there is no WebSocket here: give one, such as that of ws, as options.WebSocket')
    this.url = address(url)
  }

  open(events: LinkEvents): Link {
    try {
      return new WebSocketLink(new this.Socket(this.url), this.url, events)
    } catch {
      return new ForbiddenLink(events)
    }
  }
}

/** A page that came by https: may not open ws: addresses, which browsers say by an exception. Other ways go on. */
class ForbiddenLink implements Link {
  readonly hasRoom = false
  readonly heardAt = Date.now()
  private readonly timer: ReturnType<typeof setTimeout>

  constructor(events: LinkEvents) {
    this.timer = setTimeout(() => events.closed(1006, FORBIDDEN_REASON, 0, false))
  }

  send(): void {}
  close(): void {}

  abandon(): void {
    clearTimeout(this.timer)
  }
}

class WebSocketLink implements Link {
  heardAt = Date.now()

  constructor(private readonly socket: WebSocket, url: string, events: LinkEvents) {
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      this.heardAt = Date.now()
      events.opened(url)
    }
    socket.onmessage = ({ data }) => {
      this.heardAt = Date.now()
      // Text is not this protocol, nor is an empty message.
      events.message(data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array())
    }
    socket.onerror = () => {}
    socket.onclose = ({ code, reason }) => events.closed(code, reason, 0, true)
  }

  get hasRoom(): boolean {
    return this.socket.readyState === OPEN
  }

  send(message: Uint8Array): void {
    this.socket.send(message as Uint8Array<ArrayBuffer>)
  }

  close(): void {
    this.socket.close()
  }

  abandon(): void {
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null
    this.socket.close()
  }
}

function address(url: string): string {
  const parsed = new URL(url.replace(/^http/, 'ws'))
  if (parsed.pathname === '/') parsed.pathname = '/mesh'
  return parsed.href
}
