// What the examples use of the two libraries, as documented for react-native-ble-plx 3.5 and @capacitor-community/bluetooth-le 8.3. An app has the
// real types; they are not among our packages because each brings a whole platform.

declare module 'react-native-ble-plx' {
  type Base64 = string
  export interface Subscription { remove(): void }
  export interface Characteristic { value: Base64 | null }
  export interface Device {
    id: string
    mtu: number
    localName: string | null
    discoverAllServicesAndCharacteristics(transactionId?: string): Promise<Device>
    cancelConnection(): Promise<Device>
    onDisconnected(listener: (error: Error | null, device: Device) => void): Subscription
    readCharacteristicForService(service: string, characteristic: string, transactionId?: string): Promise<Characteristic>
    writeCharacteristicWithResponseForService(
      service: string, characteristic: string, value: Base64, transactionId?: string,
    ): Promise<Characteristic>
    writeCharacteristicWithoutResponseForService(
      service: string, characteristic: string, value: Base64, transactionId?: string,
    ): Promise<Characteristic>
    monitorCharacteristicForService(
      service: string, characteristic: string, listener: (error: Error | null, characteristic: Characteristic | null) => void,
      transactionId?: string,
    ): Subscription
  }
  export class BleManager {
    startDeviceScan(
      services: string[] | null, options: { allowDuplicates?: boolean } | null,
      listener: (error: Error | null, device: Device | null) => void,
    ): Promise<void>
    stopDeviceScan(): Promise<void>
    connectToDevice(device: string, options?: { requestMTU?: number; timeout?: number }): Promise<Device>
  }
}

declare module '@capacitor-community/bluetooth-le' {
  export interface ScanResult { device: { deviceId: string }; localName?: string }
  export const BleClient: {
    initialize(options?: { androidNeverForLocation?: boolean }): Promise<void>
    requestLEScan(options: { services?: string[]; allowDuplicates?: boolean }, callback: (result: ScanResult) => void): Promise<void>
    stopLEScan(): Promise<void>
    connect(device: string, onDisconnect?: (device: string) => void, options?: { timeout?: number }): Promise<void>
    disconnect(device: string): Promise<void>
    getMtu(device: string): Promise<number>
    read(device: string, service: string, characteristic: string): Promise<DataView>
    write(device: string, service: string, characteristic: string, value: DataView): Promise<void>
    writeWithoutResponse(device: string, service: string, characteristic: string, value: DataView): Promise<void>
    startNotifications(device: string, service: string, characteristic: string, callback: (value: DataView) => void): Promise<void>
  }
}
