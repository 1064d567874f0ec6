// What this device is: its peer id and keys, the store it was paired with, who was shut out there, and the gateways it met.
// One for all apps of an origin, so that each device is paired once.
import { Keys, type Membership } from './entrance'
import { equal, hex } from './octets'
import { Revocations } from './revocations'
import { Shelf } from './shelf'

const DATABASE = 'store-gateway-identity'
const PEER_KEY = 'store-gateway-peer'
const PEER_BYTES = 16
const SECRET_BYTES = 32

interface Device { peer: Uint8Array; noise: Uint8Array; signing: Uint8Array }
interface Belonging { root: Uint8Array; credential: Uint8Array }

export class Identity {
  membership: Membership | null = null
  /** Another window was paired. */
  onGained: () => void = () => {}
  private readonly channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(DATABASE)

  private constructor(private readonly shelf: Shelf, readonly peer: Uint8Array, readonly keys: Keys, private gateways: Map<string, Uint8Array>) {
    if (this.channel) this.channel.onmessage = () => void this.reload()
  }

  static async load(): Promise<Identity> {
    const shelf = await Shelf.open(DATABASE)
    const fresh: Device = { peer: peerId(), noise: random(SECRET_BYTES), signing: random(SECRET_BYTES) }
    const { peer, noise, signing } = (await shelf.getOrPut('device', fresh)) as Device
    const gateways = ((await shelf.get('gateways')) ?? new Map()) as Map<string, Uint8Array>
    const identity = new Identity(shelf, peer, new Keys(noise, signing), gateways)
    await identity.read()
    return identity
  }

  /** The static key of the gateway of our store that was met at an address, or by Bluetooth (`bluetoothKey`). */
  gateway(url: string): Uint8Array | undefined {
    return this.gateways.get(url)
  }

  meet(url: string, key: Uint8Array): void {
    const known = this.gateways.get(url)
    if (known && equal(known, key)) return
    this.gateways.set(url, key.slice())
    void this.shelf.put('gateways', this.gateways)
  }

  /** Whether there was a key to forget. */
  forget(url: string): boolean {
    const known = this.gateways.delete(url)
    if (known) void this.shelf.put('gateways', this.gateways)
    return known
  }

  /** Be of a store from now on; resolves when that is kept. */
  async gain(membership: Membership): Promise<void> {
    const before = this.membership
    this.membership = membership
    if (before && !equal(before.root, membership.root)) {
      this.gateways = new Map()
      await this.shelf.put('gateways', this.gateways)
    }
    await this.keepRevocations()
    await this.shelf.put('membership', { root: membership.root, credential: membership.credential })
    // A gateway knows the id with these keys: where they are lost it is of no use.
    localStore()?.removeItem(PEER_KEY)
    this.channel?.postMessage('gained')
  }

  /** Keep the entries that were heard of. */
  async keepRevocations(): Promise<void> {
    await this.shelf.put('revocations', this.membership!.revocations.entries())
  }

  close(): void {
    this.channel?.close()
    this.shelf.close()
  }

  private async reload(): Promise<void> {
    const before = this.membership
    await this.read()
    if (this.membership !== before) this.onGained()
  }

  private async read(): Promise<void> {
    const kept = (await this.shelf.get('membership')) as Belonging | undefined
    if (!kept) return
    const { membership } = this
    if (membership && equal(membership.root, kept.root) && equal(membership.credential, kept.credential)) return
    const revocations = new Revocations(kept.root)
    for (const entry of ((await this.shelf.get('revocations')) ?? []) as Uint8Array[]) {
      try {
        revocations.add(entry)
      } catch {
        // Of a store this device was of before.
      }
    }
    this.membership = { ...kept, revocations }
  }
}

/** What the key of a gateway is kept by where its address says nothing. */
export function bluetoothKey(peer: Uint8Array): string {
  return `bluetooth:${hex(peer)}`
}

export function random(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count))
}

function localStore(): Storage | undefined {
  return (globalThis as { localStorage?: Storage }).localStorage
}

function peerId(): Uint8Array {
  const storage = localStore()
  const known = storage?.getItem(PEER_KEY)
  if (known && /^[0-9a-f]{32}$/.test(known)) return Uint8Array.from(known.match(/../g)!, (byte) => parseInt(byte, 16))
  const fresh = random(PEER_BYTES)
  storage?.setItem(PEER_KEY, hex(fresh))
  return fresh
}
