// Exchanges of fingerprints on one link, each about a subscription of ours: we begin, the peer opens what differs.
import { answer, mostTurns, opening, SALT_BYTES, type Catalogue } from './reconcile'
import { Malformed } from './wire'

interface Exchange { salt: Uint8Array; catalogue: Catalogue; differing: Set<string>; turns: number }

/** `differing` is all that was found once the exchange is `finished`. */
export interface Turn { reply: Uint8Array | null; differing: Set<string>; finished: boolean }

export class Exchanges {
  private running = new Map<number, Exchange>()

  /** `payloadBytes`: what the peer takes in one record. */
  constructor(private payloadBytes: number) {}

  /** Begin one about a subscription, in place of one that may be under way; gives what to send. */
  begin(subscription: number, catalogue: Catalogue): Uint8Array {
    const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES))
    this.running.set(subscription, { salt, catalogue, differing: new Set(), turns: 0 })
    return opening(catalogue, salt)
  }

  /** Answer the peer's turn; null if it belongs to none that is under way. Throws Malformed. */
  take(subscription: number, payload: Uint8Array): Turn | null {
    const exchange = this.running.get(subscription)
    if (!exchange?.salt.every((byte, index) => byte === payload[index])) return null
    if (++exchange.turns > mostTurns(this.payloadBytes)) throw new Malformed('an exchange that does not end')
    const { reply, differing, finished } = answer(exchange.catalogue, payload, this.payloadBytes)
    for (const name of differing) exchange.differing.add(name)
    if (finished) this.running.delete(subscription)
    return { reply, differing: exchange.differing, finished }
  }

  forget(subscription: number): void {
    this.running.delete(subscription)
  }
}
