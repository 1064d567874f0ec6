// The kitchen display: schema 1. It knows item, qty, note and status; whatever newer apps
// add to an order it leaves as it is, and what it does not understand it shows as text.
import { byId, element, openStore, tabs } from './shared.js'
import { ACTIONS, minutes, ORDER, STATIONS } from './words.js'

const NEXT = { open: 'cooking', cooking: 'ready', ready: 'done' }
const REDRAW_MS = 20_000

const store = openStore('kitchen', '1')
const orders = store.doc('orders/board').getMap('orders')
const firstSeen = new Map()
const bumps = []
let station = 'all'

const text = (value) => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value))

function linesOf(order) {
  const lines = order.get?.('lines')
  return lines && typeof lines.toArray === 'function' ? lines.toArray() : []
}

function field(line, key) {
  return typeof line?.get === 'function' ? line.get(key) : line?.[key]
}

function lineText(line) {
  if (typeof line === 'string') return line
  const item = field(line, 'item')
  return item === undefined ? text(line?.toJSON?.() ?? line) : text(item)
}

const atStation = (line) => station === 'all' || (field(line, 'station') ?? station) === station

function bump(id) {
  const order = orders.get(id)
  const before = order.get('status')
  bumps.push([id, before])
  order.set('status', NEXT[before] ?? 'done')
}

function undo() {
  const [id, status] = bumps.pop() ?? []
  if (id && orders.has(id)) orders.get(id).set('status', status)
  show()
}

function ticket(id, order) {
  const status = text(order.get('status')) || 'open'
  const age = Math.floor((performance.now() - firstSeen.get(id)) / 60_000)
  const note = text(order.get('note'))
  return element('li', { class: 'ticket', 'data-status': status, 'data-late': age >= 10 },
    element('header', {}, element('b', {}, text(order.get('number')) || id.slice(0, 4)), element('span', {}, minutes(age))),
    element('ul', {}, ...linesOf(order).filter(atStation).map((line) =>
      element('li', {}, element('b', {}, text(field(line, 'qty')) || '1'), ' ', lineText(line),
        text(field(line, 'note')) ? element('em', {}, text(field(line, 'note'))) : null))),
    note ? element('p', { class: 'order-note' }, note) : null,
    element('p', { class: 'soft' }, ORDER[status] ?? status),
    element('button', { class: 'main', onclick: () => bump(id) }, ACTIONS[status] ?? 'Handed out'))
}

function show() {
  for (const id of orders.keys()) if (!firstSeen.has(id)) firstSeen.set(id, performance.now())
  const open = [...orders].filter(([, order]) => typeof order?.get === 'function' && order.get('status') !== 'done')
    .filter(([, order]) => station === 'all' || linesOf(order).some(atStation))
    .sort((a, b) => firstSeen.get(a[0]) - firstSeen.get(b[0]) || text(a[1].get('number')).localeCompare(text(b[1].get('number')), 'en', { numeric: true }))
  byId('tickets').replaceChildren(...open.map(([id, order]) => ticket(id, order)))
  byId('quiet').hidden = open.length > 0
  byId('undo').disabled = bumps.length === 0
  tabs(byId('stations'), Object.entries(STATIONS), station, (key) => { station = key; show() })
}

orders.observeDeep(show)
byId('undo').addEventListener('click', undo)
setInterval(show, REDRAW_MS)
await store.whenLoaded('orders/board')
show()
