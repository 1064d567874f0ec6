// The browser's Bluetooth (Web Bluetooth, so far Chrome, Edge and Opera): https://webbluetoothcg.github.io/web-bluetooth/
import type { BluetoothAdapter, BluetoothConnection, BluetoothSearch } from './adapter'
import { Unreached } from './errors'

// What browsers have of it that is used here; TypeScript's own types do not know it.
interface Characteristic extends EventTarget {
  readonly value?: DataView
  readValue(): Promise<DataView>
  writeValueWithResponse(bytes: BufferSource): Promise<void>
  writeValueWithoutResponse(bytes: BufferSource): Promise<void>
  startNotifications(): Promise<unknown>
}
interface Service { getCharacteristic(uuid: string): Promise<Characteristic> }
interface Server { connect(): Promise<Server>; disconnect(): void; getPrimaryService(uuid: string): Promise<Service> }
interface Device extends EventTarget {
  readonly id: string
  readonly gatt?: Server
  watchAdvertisements?(options: { signal: AbortSignal }): Promise<void>
}
interface Bluetooth {
  requestDevice(options: { filters: { services: string[] }[] }): Promise<Device>
  getDevices?(): Promise<Device[]>
  getAvailability?(): Promise<boolean>
}
interface Advertisement extends Event { readonly name?: string }

const CHOSEN_KEY = 'store-gateway-bluetooth'

export class WebBluetooth implements BluetoothAdapter {
  private device: Device | null = null

  /** Whether this page can use Bluetooth. */
  static get available(): boolean {
    return bluetooth() !== undefined
  }

  async choose(service: string): Promise<void> {
    try {
      this.device = await present().requestDevice({ filters: [{ services: [service] }] })
    } catch (error) {
      if (error instanceof Unreached) throw error
      throw new Unreached(await whyNotChosen(error as Error))
    }
    remember(this.device.id)
  }

  async connect(service: string, search: BluetoothSearch): Promise<BluetoothConnection> {
    const known = this.device ?? (await granted())
    if (!known?.gatt) throw new Unreached('no gateway was chosen yet: a button has to call chooseBluetooth()')
    // After a reload browsers connect only to what they heard of again.
    if (!this.device && known.watchAdvertisements) await heard(known, search)
    const giveUp = () => known.gatt!.disconnect()
    search.signal.addEventListener('abort', giveUp, { once: true })
    try {
      const server = await known.gatt.connect()
      const connection = new WebConnection(known, server, await server.getPrimaryService(service))
      this.device = known
      return connection
    } catch (error) {
      giveUp()
      throw error
    } finally {
      search.signal.removeEventListener('abort', giveUp)
    }
  }
}

class WebConnection implements BluetoothConnection {
  private readonly found = new Map<string, Promise<Characteristic>>()
  // Ends what listens to the device, which outlives this connection.
  private readonly over = new AbortController()

  constructor(private readonly device: Device, private readonly server: Server, private readonly service: Service) {}

  async read(characteristic: string): Promise<Uint8Array> {
    return bytes(await (await this.characteristic(characteristic)).readValue())
  }

  async write(characteristic: string, value: Uint8Array, withResponse: boolean): Promise<void> {
    const target = await this.characteristic(characteristic)
    const source = value as Uint8Array<ArrayBuffer>
    await (withResponse ? target.writeValueWithResponse(source) : target.writeValueWithoutResponse(source))
  }

  async subscribe(characteristic: string, listener: (bytes: Uint8Array) => void): Promise<void> {
    const target = await this.characteristic(characteristic)
    target.addEventListener('characteristicvaluechanged', () => listener(bytes(target.value!)), { signal: this.over.signal })
    await target.startNotifications()
  }

  onDisconnect(listener: () => void): void {
    this.device.addEventListener('gattserverdisconnected', listener, { once: true, signal: this.over.signal })
  }

  disconnect(): void {
    this.over.abort()
    this.server.disconnect()
  }

  private characteristic(uuid: string): Promise<Characteristic> {
    const known = this.found.get(uuid) ?? this.service.getCharacteristic(uuid)
    this.found.set(uuid, known)
    return known
  }
}

function bluetooth(): Bluetooth | undefined {
  return (globalThis.navigator as { bluetooth?: Bluetooth } | undefined)?.bluetooth
}

function present(): Bluetooth {
  const found = bluetooth()
  if (found) return found
  throw new Unreached('this browser has no Bluetooth for pages: use Chrome or Edge, and open the page by https:// or from this device itself')
}

/** In words for people. Browsers call it not found whether the user chose nothing or there is no radio. */
async function whyNotChosen({ name, message }: Error): Promise<string> {
  if (name === 'SecurityError' && message.includes('gesture')) return 'the browser wants a tap or click for it'
  if (name !== 'NotFoundError') return message
  if ((await bluetooth()?.getAvailability?.()) === false) return 'Bluetooth is turned off on this device, or it has none'
  return 'no gateway was chosen, or none is near'
}

/** What the user chose before, where the browser still lets this page use it. */
async function granted(): Promise<Device | undefined> {
  const devices = (await present().getDevices?.()) ?? []
  const chosen = storage()?.getItem(CHOSEN_KEY)
  return devices.find(({ id }) => id === chosen) ?? devices[0]
}

/** Wait until the device is near and worth a call. */
function heard(device: Device, { isWanted, signal }: BluetoothSearch): Promise<void> {
  const watching = new AbortController()
  return new Promise<void>((resolve, reject) => {
    const giveUp = () => reject(new Unreached('nobody waits any more'))
    if (signal.aborted) return giveUp()
    signal.addEventListener('abort', giveUp, { signal: watching.signal })
    device.addEventListener('advertisementreceived', (event) => {
      const { name } = event as Advertisement
      // Some systems hand over what comes with the first packet alone.
      if (!name || isWanted(name)) resolve()
    }, { signal: watching.signal })
    device.watchAdvertisements!({ signal: watching.signal }).catch(reject)
  }).finally(() => watching.abort())
}

function remember(id: string): void {
  try {
    storage()?.setItem(CHOSEN_KEY, id)
  } catch {
    // Then the first of those granted is taken.
  }
}

function storage(): Storage | undefined {
  return (globalThis as { localStorage?: Storage }).localStorage
}

function bytes(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice()
}
