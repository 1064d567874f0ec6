// Bluetooth for the SDK in Capacitor, by @capacitor-community/bluetooth-le (docs/bluetooth-capacitor.md).
import { BleClient } from '@capacitor-community/bluetooth-le'
import type { BluetoothAdapter, BluetoothConnection, BluetoothSearch } from 'store-gateway-client'

const ATT_BYTES = 3
const MOST_BYTES = 512
const CONNECT_MS = 15_000

export class CapacitorBluetooth implements BluetoothAdapter {
  async connect(service: string, search: BluetoothSearch): Promise<BluetoothConnection> {
    // Each time: the user may have refused before, or turned Bluetooth on meanwhile.
    await BleClient.initialize({ androidNeverForLocation: true })
    const connection = new Connection(await this.find(service, search), service)
    await connection.open()
    return connection
  }

  /** The first gateway that is worth a call. */
  private async find(service: string, { isWanted, signal }: BluetoothSearch): Promise<string> {
    try {
      return await new Promise<string>((resolve, reject) => {
        const giveUp = () => reject(new Error('nobody waits any more'))
        if (signal.aborted) return giveUp()
        signal.addEventListener('abort', giveUp)
        BleClient.requestLEScan({ services: [service], allowDuplicates: true }, ({ device, localName }) => {
          // What was heard first may be without its scan response.
          if (localName && isWanted(localName)) resolve(device.deviceId)
        }).catch(reject)
      })
    } finally {
      await BleClient.stopLEScan()
    }
  }
}

class Connection implements BluetoothConnection {
  notificationBytes?: number
  writeBytes?: number
  private isOpen = false
  private lost = () => {}

  constructor(private readonly device: string, private readonly service: string) {}

  async open(): Promise<void> {
    await BleClient.connect(this.device, () => {
      this.isOpen = false
      this.lost()
    }, { timeout: CONNECT_MS })
    this.isOpen = true
    try {
      this.notificationBytes = this.writeBytes = Math.min((await BleClient.getMtu(this.device)) - ATT_BYTES, MOST_BYTES)
    } catch (error) {
      this.disconnect()
      throw error
    }
  }

  async read(characteristic: string): Promise<Uint8Array> {
    return bytes(await BleClient.read(this.device, this.service, characteristic))
  }

  async write(characteristic: string, value: Uint8Array, withResponse: boolean): Promise<void> {
    const view = new DataView(value.slice().buffer)
    if (withResponse) await BleClient.write(this.device, this.service, characteristic, view)
    else await BleClient.writeWithoutResponse(this.device, this.service, characteristic, view)
  }

  async subscribe(characteristic: string, listener: (bytes: Uint8Array) => void): Promise<void> {
    await BleClient.startNotifications(this.device, this.service, characteristic, (view) => listener(bytes(view)))
  }

  onDisconnect(listener: () => void): void {
    this.lost = listener
    if (!this.isOpen) listener()
  }

  disconnect(): void {
    this.lost = () => {}
    BleClient.disconnect(this.device).catch(() => {})
  }
}

function bytes(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice()
}
