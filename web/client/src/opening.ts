// How a link is opened by GATT (docs/bluetooth.md, "Service" and "Opening a link"; gateway/core/opening.py). Pure.

const uuid = (number: number) => `9412d8${number.toString(16)}-8fbe-4a58-90d7-c5fd0d0b6838`
export const SERVICE = uuid(0xc8)
export const INFO = uuid(0xc9)
export const RX = uuid(0xca)
/** Of place 1 and so on: each phone has its own. */
export const TX = Array.from({ length: 8 }, (_, place) => uuid(0xd1 + place))

export const NONCE_BYTES = 4
// Of docs/bluetooth.md, not of the mesh protocol.
const VERSION = 1
const INFO_BYTES = 22
const PEER_END = 18
const ANSWER_BYTES = 8
// No segment begins like an opener.
const OPENER = 0x80
const REFUSAL = 0x00

/** The gateway cannot be talked to, or does not want to. */
export class OpeningError extends Error {
  constructor(readonly code: number, reason: string) {
    super(reason)
  }
}

/** `psm`: 0 where L2CAP is not taken. `place`: of this phone, 0 if there is none. */
export interface Info { peer: Uint8Array; psm: number; place: number }

/** A link is open, `number` are the bytes of a write; or `refused`, for the code `number`. */
export interface Answer { nonce: Uint8Array; number: number; refused: boolean }

export function readInfo(value: Uint8Array): Info {
  if (value.length < INFO_BYTES) throw new OpeningError(4400, 'what the gateway says by Bluetooth is too short')
  if (value[0] > VERSION || value[1] < VERSION) throw new OpeningError(4426, `the gateway speaks Bluetooth version ${value[0]}, this app ${VERSION}`)
  return { peer: value.slice(2, PEER_END), psm: number(value, PEER_END), place: value[21] <= TX.length ? value[21] : 0 }
}

/** `takes`: the bytes of a notification, 0 if that is not known. */
export function opener(nonce: Uint8Array, takes: number): Uint8Array {
  return Uint8Array.of(OPENER, VERSION, ...nonce, takes & 0xff, takes >> 8)
}

/** What was notified, if it is an answer. */
export function readAnswer(value: Uint8Array): Answer | null {
  if (value.length !== ANSWER_BYTES || (value[0] !== OPENER && value[0] !== REFUSAL)) return null
  return { nonce: value.slice(2, 6), number: number(value, 6), refused: value[0] === REFUSAL }
}

function number(value: Uint8Array, place: number): number {
  return value[place] | (value[place + 1] << 8)
}
