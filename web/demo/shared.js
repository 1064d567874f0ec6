// What the three demo apps share: the store, the link line, small DOM helpers.
import { connect, WebBluetooth, Y } from '/client/store-gateway.browser.js'
import { byId, element } from './dom.js'
import { BLUETOOTH, LINK, PAIRING, refused } from './words.js'

export { byId, element, Y }
/** A random word that stays with this installation. */
export function installation(key, make) {
  const known = localStorage.getItem(key)
  if (known) return known
  const fresh = make()
  localStorage.setItem(key, fresh)
  return fresh
}

export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(36)).join('')
}

export function openStore(app, schema) {
  const port = document.querySelector('meta[name=sync-port]').content
  const store = connect({
    url: `ws://${location.hostname}:${port}/mesh`, bluetooth: WebBluetooth.available, app, schema, appVersion: '1',
  })
  const line = byId('link')
  const show = () => {
    const online = store.via === 'bluetooth' ? BLUETOOTH.online : LINK[store.link]
    line.textContent = store.needsPairing ? PAIRING.link : online
    line.dataset.state = store.link
    byId('pair').hidden = !store.needsPairing
    byId('pair-why').textContent = store.paired ? PAIRING.again : PAIRING.first
  }
  store.on('link', show)
  store.on('paired', show)
  offerPairing(store)
  offerBluetooth(store)
  store.on('refused', ({ code }) => notice(refused(code)))
  show()
  navigator.serviceWorker?.register('/worker.js')
  return store
}

/** What was typed goes to the gateway; the form is there while this device is not let in. */
function offerPairing(store) {
  byId('pair').addEventListener('submit', async (event) => {
    event.preventDefault()
    const [code, send, told] = ['pair-code', 'pair-send', 'pair-told'].map(byId)
    send.disabled = true
    told.textContent = PAIRING.busy
    try {
      await store.pair(code.value)
      code.value = told.textContent = ''
    } catch (error) {
      told.textContent = PAIRING.failed(error.message)
    }
    send.disabled = false
  })
}

/** A way without the network; browsers want a tap before they show which gateways are near. */
function offerBluetooth(store) {
  const button = byId('bluetooth')
  const show = () => { button.hidden = !WebBluetooth.available || store.via === 'bluetooth' }
  store.on('link', show)
  show()
  button.addEventListener('click', async () => {
    byId('notice').hidden = true
    try {
      await store.chooseBluetooth()
      // It may be the wrong one, or out of reach.
      button.textContent = BLUETOOTH.another
    } catch (error) {
      notice(BLUETOOTH.failed(error.message))
    }
  })
}

export function notice(text) {
  const line = byId('notice')
  line.textContent = text
  line.hidden = false
}

export function tabs(container, entries, current, choose) {
  container.replaceChildren(...entries.map(([key, label]) =>
    element('button', { role: 'tab', 'aria-selected': String(key === current), onclick: () => choose(key) }, label)))
}

export const money = (cents) => (cents / 100).toFixed(2)
