// Bluetooth for the SDK in React Native, by react-native-ble-plx (docs/bluetooth-react-native.md).
import { BleManager, type Device } from 'react-native-ble-plx'
import type { BluetoothAdapter, BluetoothConnection, BluetoothSearch } from 'store-gateway-client'

// Android agrees on what both can; iOS decides by itself.
const MTU = 517
const ATT_BYTES = 3
const MOST_BYTES = 512
const CONNECT_MS = 15_000

export class ReactNativeBluetooth implements BluetoothAdapter {
  constructor(private readonly manager = new BleManager()) {}

  async connect(service: string, search: BluetoothSearch): Promise<BluetoothConnection> {
    const found = await this.find(service, search)
    const device = await this.manager.connectToDevice(found.id, { requestMTU: MTU, timeout: CONNECT_MS })
    try {
      return new Connection(await device.discoverAllServicesAndCharacteristics(), service)
    } catch (error) {
      await device.cancelConnection().catch(() => {})
      throw error
    }
  }

  /** The first gateway that is worth a call. */
  private async find(service: string, { isWanted, signal }: BluetoothSearch): Promise<Device> {
    try {
      return await new Promise<Device>((resolve, reject) => {
        const giveUp = () => reject(new Error('nobody waits any more'))
        if (signal.aborted) return giveUp()
        signal.addEventListener('abort', giveUp)
        this.manager.startDeviceScan([service], { allowDuplicates: true }, (error, device) => {
          if (error) return reject(error)
          // What was heard first may be without its scan response.
          if (device?.localName && isWanted(device.localName)) resolve(device)
        }).catch(reject)
      })
    } finally {
      await this.manager.stopDeviceScan()
    }
  }
}

class Connection implements BluetoothConnection {
  readonly notificationBytes: number
  readonly writeBytes: number

  constructor(private readonly device: Device, private readonly service: string) {
    this.notificationBytes = this.writeBytes = Math.min(device.mtu - ATT_BYTES, MOST_BYTES)
  }

  async read(characteristic: string): Promise<Uint8Array> {
    return bytes((await this.device.readCharacteristicForService(this.service, characteristic)).value)
  }

  async write(characteristic: string, value: Uint8Array, withResponse: boolean): Promise<void> {
    const { device, service } = this
    if (withResponse) await device.writeCharacteristicWithResponseForService(service, characteristic, text(value))
    else await device.writeCharacteristicWithoutResponseForService(service, characteristic, text(value))
  }

  async subscribe(characteristic: string, listener: (bytes: Uint8Array) => void): Promise<void> {
    // An error here is the end of the connection, which onDisconnected tells too.
    this.device.monitorCharacteristicForService(this.service, characteristic, (error, found) => {
      if (!error && found) listener(bytes(found.value))
    })
  }

  onDisconnect(listener: () => void): void {
    const subscription = this.device.onDisconnected(() => {
      subscription.remove()
      listener()
    })
  }

  disconnect(): void {
    this.device.cancelConnection().catch(() => {})
  }
}

// atob and btoa are part of React Native from 0.74 on.
function bytes(base64: string | null): Uint8Array {
  return Uint8Array.from(atob(base64 ?? ''), (letter) => letter.charCodeAt(0))
}

function text(value: Uint8Array): string {
  return btoa(String.fromCharCode(...value))
}
