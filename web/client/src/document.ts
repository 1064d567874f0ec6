// One document on this device: its Y.Doc, its local copy, its state towards the gateway.
import { IndexeddbPersistence } from 'y-indexeddb'
import { applyAwarenessUpdate, Awareness, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { fingerprint } from './fingerprint'
import { hex } from './octets'
import type { Document } from './session'

/**
 * writing: a change is on its way to this device's own disk; local: it is there, and only there;
 * sent: handed to a gateway; saved: on the gateway's disk.
 */
export type SaveState = 'writing' | 'local' | 'sent' | 'saved'

export interface Refusal { document: string; code: number; reason: string }

export interface Owner {
  update(document: StoreDocument, update: Uint8Array): void
  awareness(name: string, payload: Uint8Array): void
  changed(document: StoreDocument): void
  isSynced(document: StoreDocument): void
  /** It changed; `arrived`: by what came from the link. */
  touched(document: StoreDocument, arrived: boolean): void
  refused(refusal: Refusal): void
}

const SAVED_KEY = 'saved-fingerprint'
const SELECTED_KEY = 'selected'

export class StoreDocument implements Document {
  readonly doc = new Y.Doc()
  readonly awareness = new Awareness(this.doc)
  readonly loaded: Promise<void>
  state: SaveState = 'saved'
  refusal: Refusal | null = null
  synchronised = false
  /** It is here only because of a subscription; its copy may go once it is saved elsewhere. */
  selected: boolean
  /** The app wants to know who is in it, or when it is in sync. */
  followed = false
  private local: IndexeddbPersistence | null = null
  private unkept = false
  private confirming = false
  private again = false
  private channel: BroadcastChannel | null = null
  private print: Uint8Array | null = null
  // The fingerprint that is kept beside the copy.
  private marked: unknown = null

  constructor(readonly name: string, private owner: Owner, private database: string | null, selected: boolean) {
    this.selected = selected
    this.doc.on('update', this.onUpdate)
    this.awareness.on('update', this.onAwareness)
    this.loaded = database === null ? Promise.resolve() : this.load(database)
  }

  get fingerprint(): Uint8Array {
    return (this.print ??= fingerprint(this.doc))
  }

  get empty(): boolean {
    return this.doc.store.clients.size === 0
  }

  /** Nothing but a subscription wants it, and nothing of it is owed to a gateway. */
  get idle(): boolean {
    return this.selected && !this.followed && this.state === 'saved'
  }

  receive(update: Uint8Array): void {
    Y.applyUpdate(this.doc, update, this)
  }

  receiveAwareness(payload: Uint8Array): void {
    applyAwarenessUpdate(this.awareness, payload, this)
  }

  awarenessToSend(): Uint8Array | null {
    return this.awareness.getLocalState() === null ? null : encodeAwarenessUpdate(this.awareness, [this.doc.clientID])
  }

  synced(): void {
    this.synchronised = true
    this.owner.isSynced(this)
  }

  handedOver(): void {
    if (this.state !== 'saved') this.become('sent')
  }

  saved(): void {
    this.refusal = null
    this.become('saved')
    this.settled()
  }

  /** What is in it was on the gateway's disk some time ago: note that, to know it at the next start. */
  settled(): void {
    const mark = hex(this.fingerprint)
    if (this.state !== 'saved' || mark === this.marked) return
    this.marked = mark
    // If it cannot be kept, the next start only asks once more.
    this.local?.set(SAVED_KEY, mark).catch(() => {})
  }

  refused(code: number, reason: string): void {
    this.refusal = { document: this.name, code, reason }
    this.changed()
    this.owner.refused(this.refusal)
  }

  /** The link is gone: what was sent and not acked counts as local again. */
  unlinked(): void {
    this.synchronised = false
    if (this.state === 'sent') this.changed()
    const others = [...this.awareness.getStates().keys()].filter((client) => client !== this.doc.clientID)
    removeAwarenessStates(this.awareness, others, this)
  }

  /** The app asked for it by name: its copy stays. */
  keep(): void {
    if (!this.selected) return
    this.selected = false
    void this.local?.set(SELECTED_KEY, 0)
  }

  /** End it, and give the space on this device back. */
  async evict(): Promise<void> {
    await this.close()
    const { database } = this
    if (database === null) return
    await new Promise<void>((resolve) => {
      const request = indexedDB.deleteDatabase(database)
      // Another window may have it open; then it goes when that is closed.
      request.onsuccess = request.onerror = request.onblocked = () => resolve()
    })
  }

  async close(): Promise<void> {
    removeAwarenessStates(this.awareness, [this.doc.clientID], 'closed')
    this.doc.off('update', this.onUpdate)
    this.channel?.close()
    this.awareness.destroy()
    await this.local?.destroy()
    this.doc.destroy()
  }

  private async load(database: string): Promise<void> {
    const local = (this.local = new IndexeddbPersistence(database, this.doc))
    this.listenToOtherWindows(database)
    try {
      // y-indexeddb never settles whenSynced when its database cannot be opened.
      await (local as unknown as { _db: Promise<unknown> })._db
      await local.whenSynced
    } catch {
      // Private mode, or a full disk: it works with the link alone, and nothing counts as kept.
      this.local = null
      this.unkept = true
      return
    }
    if (this.selected) {
      // Asked for by name once, it is not only selected.
      this.selected = (await local.get(SELECTED_KEY)) !== 0
    } else if ((await local.get(SELECTED_KEY)) !== 0) await local.set(SELECTED_KEY, 0)
    this.marked = await local.get(SAVED_KEY)
    if (this.state === 'saved' && !this.empty && this.marked !== hex(this.fingerprint)) this.become('local')
  }

  /** Windows of one device agree without any link. */
  private listenToOtherWindows(database: string): void {
    if (typeof BroadcastChannel === 'undefined') return
    const channel = (this.channel = new BroadcastChannel(database))
    channel.onmessage = ({ data }) => {
      if (data.vector) channel.postMessage({ update: Y.encodeStateAsUpdate(this.doc, data.vector) })
      if (data.update) Y.applyUpdate(this.doc, data.update, channel)
    }
    channel.postMessage({ vector: Y.encodeStateVector(this.doc) })
  }

  private onUpdate = (update: Uint8Array, origin: unknown): void => {
    this.print = null
    this.owner.touched(this, origin === this)
    if (origin === this) return
    const elsewhere = origin === this.channel && this.channel !== null
    if (this.channel && !elsewhere && origin !== this.local) this.channel.postMessage({ update })
    if (origin === this.local && this.local !== null) return
    // With this change the document may be taken.
    this.refusal = null
    this.changed()
    this.owner.update(this, update)
  }

  /** Something here is not on a gateway: 'local' as soon as it will survive a reload. */
  private changed(): void {
    if (!this.local) return this.become(this.unkept ? 'writing' : 'local')
    this.become('writing')
    this.again = true
    if (!this.confirming) {
      this.confirming = true
      void this.confirm(this.local).finally(() => { this.confirming = false })
    }
  }

  private async confirm(local: IndexeddbPersistence): Promise<void> {
    await local.whenSynced
    while (this.again) {
      this.again = false
      // Where the copy cannot be written the state stays as it is: nothing is promised.
      if (!(await written(local))) return
    }
    if (this.state === 'writing') this.become('local')
  }

  private onAwareness = ({ added, updated, removed }: Record<string, number[]>, origin: unknown): void => {
    if (origin === this) return
    this.owner.awareness(this.name, encodeAwarenessUpdate(this.awareness, [...added, ...updated, ...removed]))
  }

  private become(state: SaveState): void {
    if (state === this.state) return
    this.state = state
    this.owner.changed(this)
  }
}

/** Whether all that y-indexeddb was given is written: a read waits for the writes before it. */
function written({ db }: IndexeddbPersistence): Promise<boolean> {
  return new Promise((resolve) => {
    try {
      const transaction = db!.transaction(['updates'], 'readonly')
      transaction.objectStore('updates').count()
      transaction.oncomplete = () => resolve(true)
      transaction.onabort = () => resolve(false)
    } catch {
      resolve(false) // It is closed.
    }
  })
}
