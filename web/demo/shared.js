// What the three demo apps share: the store, the link line, small DOM helpers.
import { connect, Y } from '/client/store-gateway.browser.js'
import { byId, element } from './dom.js'
import { LINK, refused } from './words.js'

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
  const store = connect({ url: `ws://${location.hostname}:${port}/mesh`, app, schema, appVersion: '1' })
  const line = byId('link')
  const show = () => {
    line.textContent = LINK[store.link]
    line.dataset.state = store.link
  }
  store.on('link', show)
  store.on('refused', ({ code }) => notice(refused(code)))
  show()
  navigator.serviceWorker?.register('/worker.js')
  return store
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
