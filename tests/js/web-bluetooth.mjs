// What a browser's navigator.bluetooth does, over any radio: `connect(device)` gives { read, write, subscribe, onDisconnect, disconnect }.

const LONGEST = 512
const error = (name, message) => Object.assign(new Error(message), { name })

export class FakeBluetooth {
  granted = []
  /** `choose` gives the name of the device that the user taps, or null. `keepsGrants`: getDevices and watchAdvertisements are there. */
  constructor(radio, choose, { keepsGrants = false } = {}) {
    this.radio = radio
    this.choose = choose
    this.keepsGrants = keepsGrants
    if (keepsGrants) this.getDevices = async () => this.granted
  }
  async requestDevice({ filters: [{ services }] }) {
    const id = await this.choose(services[0])
    if (!id) throw error('NotFoundError', 'User cancelled the requestDevice() chooser.')
    const device = this.granted.find((one) => one.id === id) ?? new Device(this, id)
    if (!this.granted.includes(device)) this.granted.push(device)
    return device
  }
  /** The page is loaded anew: what was granted stays, but nothing was heard of it yet. */
  reloaded() {
    const page = new FakeBluetooth(this.radio, this.choose, { keepsGrants: this.keepsGrants })
    page.granted = this.granted.map(({ id }) => Object.assign(new Device(page, id), { isNear: false }))
    return page
  }
}

class Device extends EventTarget {
  isNear = true
  connection = null
  constructor(page, id) {
    super()
    this.id = id
    this.gatt = new Server(page, this)
    if (page.keepsGrants) this.watchAdvertisements = async ({ signal }) => {
      this.isWatched = true
      signal.addEventListener('abort', () => { this.isWatched = false })
    }
  }
  /** An advertisement is heard. */
  advertise(name) {
    this.isNear = true
    if (this.isWatched) this.dispatchEvent(Object.assign(new Event('advertisementreceived'), { name }))
  }
}

class Server {
  isBusy = false
  constructor(page, device) {
    this.page = page
    this.device = device
  }
  get connected() {
    return this.device.connection !== null
  }
  async connect() {
    const { device, page } = this
    if (!device.isNear) throw error('NetworkError', 'Bluetooth Device is no longer in range.')
    if (device.connection) return this
    const connection = await page.radio.connect(device.id)
    device.connection = connection
    connection.onDisconnect(() => {
      if (device.connection === connection) this.gone()
    })
    return this
  }
  disconnect() {
    const { connection } = this.device
    if (!connection) return
    connection.disconnect()
    this.gone()
  }
  gone() {
    this.device.connection = null
    this.device.dispatchEvent(new Event('gattserverdisconnected'))
  }
  async getPrimaryService() {
    const { connection } = this.device
    if (!connection) throw error('NetworkError', 'GATT Server is disconnected.')
    return { getCharacteristic: async (uuid) => new Characteristic(this, connection, uuid) }
  }
  /** One operation at a time. */
  async operation(connection, act) {
    if (this.device.connection !== connection) throw error('NetworkError', 'GATT Server is disconnected.')
    if (this.isBusy) throw error('NetworkError', 'GATT operation already in progress.')
    this.isBusy = true
    try {
      return await act()
    } finally {
      this.isBusy = false
    }
  }
}

class Characteristic extends EventTarget {
  value = undefined
  constructor(server, connection, uuid) {
    super()
    Object.assign(this, { server, connection, uuid })
  }
  async readValue() {
    this.value = view(await this.server.operation(this.connection, () => this.connection.read(this.uuid)))
    return this.value
  }
  writeValueWithResponse(bytes) {
    return this.write(bytes, true)
  }
  writeValueWithoutResponse(bytes) {
    return this.write(bytes, false)
  }
  async write(bytes, withResponse) {
    if (bytes.length > LONGEST) throw error('InvalidModificationError', 'Value can’t exceed 512 bytes.')
    await this.server.operation(this.connection, () => this.connection.write(this.uuid, bytes, withResponse))
  }
  async startNotifications() {
    await this.server.operation(this.connection, () => this.connection.subscribe(this.uuid, (bytes) => {
      this.value = view(bytes)
      this.dispatchEvent(new Event('characteristicvaluechanged'))
    }))
    return this
  }
}

// Somewhere in a larger buffer, as views may be.
function view(bytes) {
  const buffer = new Uint8Array(bytes.length + 3)
  buffer.set(bytes, 2)
  return new DataView(buffer.buffer, 2, bytes.length)
}
