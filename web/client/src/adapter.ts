// What the SDK needs of a platform's Bluetooth. UUIDs are texts of 36 lower-case characters.

export interface BluetoothSearch {
  /** Whether an advertiser is worth connecting to, by the name that it advertises. Ask again with each advertisement. */
  isWanted(name: string): boolean
  /** Aborted when nobody waits any more, perhaps before it is looked at. */
  readonly signal: AbortSignal
}

export interface BluetoothAdapter {
  /**
   * Connect to a device that offers the service. An adapter that sees advertisements may wait for one that `isWanted`, as long as it takes;
   * one that does not connects to what it knows. Rejects when there is nobody; it is called again later.
   */
  connect(service: string, search: BluetoothSearch): Promise<BluetoothConnection>
  /** Where the user has to say which devices may be used: let them choose. Called from a tap or click. */
  choose?(service: string): Promise<void>
}

export interface BluetoothConnection {
  /** The largest notification that can be taken, the MTU less 3; absent if that is not known. */
  readonly notificationBytes?: number
  /** The largest write without response, absent if that is not known. */
  readonly writeBytes?: number
  read(characteristic: string): Promise<Uint8Array>
  /** Resolves when the next one may follow; they come one at a time. */
  write(characteristic: string, bytes: Uint8Array, withResponse: boolean): Promise<void>
  /** Resolves once notifications are sent. */
  subscribe(characteristic: string, listener: (bytes: Uint8Array) => void): Promise<void>
  onDisconnect(listener: () => void): void
  disconnect(): void
  /** An L2CAP channel, where the platform has them: the link moves to it. */
  openChannel?(psm: number): Promise<BluetoothChannel>
}

export interface BluetoothChannel {
  onData(listener: (bytes: Uint8Array) => void): void
  onClose(listener: () => void): void
  write(bytes: Uint8Array): Promise<void>
  close(): void
}
