// A few values by name that survive a reload: IndexedDB, or memory alone where there is none.

const STORE = 'values'

/** No method ever fails: what cannot be kept on the disk is there until the page ends. */
export class Shelf {
  private readonly memory = new Map<string, unknown>()
  private constructor(private readonly database: IDBDatabase | null) {
    // Whoever deletes the site's data is not to wait for us.
    if (database) database.onversionchange = () => database.close()
  }

  static open(name: string): Promise<Shelf> {
    return new Promise((resolve) => {
      const unkept = () => resolve(new Shelf(null))
      if (typeof indexedDB === 'undefined') return unkept()
      try {
        const request = indexedDB.open(name, 1)
        request.onupgradeneeded = () => void request.result.createObjectStore(STORE)
        request.onsuccess = () => resolve(new Shelf(request.result))
        request.onerror = unkept
      } catch {
        unkept()
      }
    })
  }

  get(key: string): Promise<unknown> {
    return this.ask('readonly', key, (store, done) => {
      const reading = store.get(key)
      reading.onsuccess = () => done(reading.result)
    })
  }

  async put(key: string, value: unknown): Promise<void> {
    this.memory.set(key, value)
    await this.ask('readwrite', key, (store) => void store.put(value, key))
  }

  /** The value, which is `fresh` where there is none yet: windows that ask at the same time get the same. */
  async getOrPut(key: string, fresh: unknown): Promise<unknown> {
    if (!this.memory.has(key)) this.memory.set(key, fresh)
    const value = await this.ask('readwrite', key, (store, done) => {
      const reading = store.get(key)
      reading.onsuccess = () => {
        done(reading.result ?? fresh)
        if (reading.result === undefined) store.put(fresh, key)
      }
    })
    this.memory.set(key, value)
    return value
  }

  close(): void {
    this.database?.close()
  }

  private ask(mode: IDBTransactionMode, key: string, act: (store: IDBObjectStore, done: (value: unknown) => void) => void): Promise<unknown> {
    return new Promise((resolve) => {
      let found: unknown
      const failed = () => resolve(this.memory.get(key))
      if (!this.database) return failed()
      try {
        const transaction = this.database.transaction([STORE], mode)
        transaction.oncomplete = () => resolve(found)
        transaction.onabort = failed
        act(transaction.objectStore(STORE), (value) => { found = value })
      } catch {
        failed() // It is closed.
      }
    })
  }
}
