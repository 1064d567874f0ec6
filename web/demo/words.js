// Every sentence a person reads, in one place so that it can be translated.
export const LINK = {
  connecting: 'Connecting to the store…',
  online: 'Connected',
  offline: 'Working offline. Everything is kept on this device and sent later.',
  refused: 'The gateway does not let this device in. Ask the manager.',
}
export const BLUETOOTH = {
  online: 'Connected by Bluetooth',
  another: 'Choose another gateway',
  failed: (why) => `Bluetooth did not work: ${why}.`,
}
export const PAIRING = {
  link: 'Not let in yet. Everything is kept on this device until it is paired.',
  first: 'This device is not in the store yet. Ask whoever looks after the gateway for a pairing code, and type it here.',
  again: 'The store does not let this device in any more, or this is another store’s gateway. With a new pairing code it is let in again.',
  busy: 'One moment…',
  failed: (why) => `That did not work: ${why}.`,
}
export const SAVED = {
  writing: 'One moment…',
  local: 'Kept on this device',
  sent: 'Sent, not yet saved',
  saved: 'Saved in the store',
}
export const ORDER = { open: 'Waiting in the kitchen', cooking: 'Cooking', ready: 'Ready', done: 'Handed out' }
export const STATIONS = { all: 'All', grill: 'Grill', cold: 'Cold', bar: 'Bar' }
export const ACTIONS = { open: 'Start cooking', cooking: 'Ready', ready: 'Handed out' }
export const minutes = (n) => (n < 1 ? 'just now' : n === 1 ? '1 minute' : `${n} minutes`)
export const refused = (code) => `The gateway did not accept a change (${code}). It is kept on this device.`
export const here = (names) => (names.length ? `Also here: ${names.join(', ')}` : 'Nobody else is in this note.')
