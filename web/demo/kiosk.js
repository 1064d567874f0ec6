// The kiosk: schema 3. Orders have lines with options, a station each, allergens, service.
import { byId, element, installation, money, openStore, randomId, tabs, Y } from './shared.js'
import { ORDER, SAVED } from './words.js'

const SAMPLE = [
  ['burger', 'Burger', 'Mains', 'grill', 890, ['gluten', 'milk']],
  ['veggie', 'Veggie burger', 'Mains', 'grill', 850, ['gluten', 'soy']],
  ['chicken', 'Grilled chicken', 'Mains', 'grill', 990, []],
  ['fries', 'Fries', 'Sides', 'grill', 320, []],
  ['salad', 'Garden salad', 'Sides', 'cold', 450, ['mustard']],
  ['soup', 'Soup of the day', 'Sides', 'cold', 420, ['celery']],
  ['lemonade', 'Lemonade', 'Drinks', 'bar', 280, []],
  ['coffee', 'Coffee', 'Drinks', 'bar', 250, ['milk']],
  ['water', 'Water', 'Drinks', 'bar', 180, []],
]

const store = openStore('kiosk', '3')
const menu = store.doc('menu/main').getMap('items')
const orders = store.doc('orders/board').getMap('orders')
const letter = installation('kiosk-letter', () => 'ABCDEFGHJKLMNPQRSTUVWXYZ'[Math.floor(Math.random() * 24)] + Math.floor(Math.random() * 10))
const cart = new Map()
// Orders that were in the store when last everything was.
const saved = new Set()
let category = ''

function showMenu() {
  const items = [...menu].map(([id, item]) => ({ id, ...item.toJSON() })).sort((a, b) => a.place - b.place)
  const categories = [...new Set(items.map((item) => item.category))]
  if (!categories.includes(category)) category = categories[0] ?? ''
  tabs(byId('categories'), categories.map((name) => [name, name]), category, (name) => { category = name; showMenu() })
  byId('items').replaceChildren(...items.filter((item) => item.category === category).map((item) =>
    element('button', { class: 'item', onclick: () => add(item) },
      element('b', {}, item.name), element('span', {}, money(item.price)),
      element('small', {}, item.allergens?.length ? `Contains ${item.allergens.join(', ')}` : 'No allergens'))))
  byId('empty').hidden = items.length > 0
}

function add(item) {
  const line = cart.get(item.id) ?? { item, qty: 0 }
  line.qty += 1
  cart.set(item.id, line)
  showCart()
}

function change(id, by) {
  const line = cart.get(id)
  line.qty += by
  if (line.qty < 1) cart.delete(id)
  showCart()
}

function showCart() {
  const lines = [...cart.values()]
  byId('lines').replaceChildren(...lines.map(({ item, qty }) =>
    element('li', {}, element('span', {}, item.name),
      element('button', { 'aria-label': `One ${item.name} less`, onclick: () => change(item.id, -1) }, '−'),
      element('b', {}, String(qty)),
      element('button', { 'aria-label': `One ${item.name} more`, onclick: () => change(item.id, 1) }, '+'))))
  byId('no-lines').hidden = lines.length > 0
  byId('total').textContent = money(lines.reduce((sum, { item, qty }) => sum + item.price * qty, 0))
  byId('send').disabled = lines.length === 0
}

/** A number two offline kiosks cannot both give out: this kiosk's letter and its own count. */
function nextNumber() {
  const mine = [...orders.values()].map((order) => order.get('number') ?? '').filter((number) => number.startsWith(letter + '-'))
  return `${letter}-${Math.max(0, ...mine.map((number) => Number(number.split('-')[1]) || 0)) + 1}`
}

function send() {
  const order = new Y.Map()
  const lines = new Y.Array()
  lines.push([...cart.values()].map(({ item, qty }) => new Y.Map([
    ['item', item.name], ['qty', qty], ['options', []], ['note', ''], ['station', item.station], ['allergens', item.allergens],
  ])))
  const fields = {
    schema: 3, number: nextNumber(), kiosk: letter, status: 'open', lines, note: byId('note').value.trim(),
    service: document.querySelector('input[name=service]:checked').value,
  }
  for (const [key, value] of Object.entries(fields)) order.set(key, value)
  orders.set(randomId(), order)
  cart.clear()
  byId('note').value = ''
  showCart()
}

function showRecent() {
  const mine = [...orders].filter(([, order]) => order.get('kiosk') === letter)
    .sort(([, a], [, b]) => Number(b.get('number').split('-')[1]) - Number(a.get('number').split('-')[1])).slice(0, 8)
  // A change is shown before the state that follows from it.
  const state = store.state('orders/board').replace('saved', 'writing')
  byId('recent').replaceChildren(...mine.map(([id, order]) => {
    const status = order.get('status')
    // What the kitchen touched has arrived; of the rest we only know what was saved together.
    const open = status === 'open'
    const words = open && !saved.has(id) ? SAVED[state] : `${ORDER[status] ?? status}`
    return element('li', {}, element('b', {}, order.get('number')), element('span', {}, words),
      element('small', {}, open && saved.has(id) ? SAVED.saved : ''))
  }))
  byId('no-recent').hidden = mine.length > 0
}

function noteSaved() {
  if (store.state('orders/board') === 'saved') for (const id of orders.keys()) saved.add(id)
  showRecent()
}

function useSample() {
  menu.doc.transact(() => SAMPLE.forEach(([id, name, group, station, price, allergens], place) => {
    if (!menu.has(id)) menu.set(id, new Y.Map(Object.entries({ name, category: group, station, price, allergens, place })))
  }))
}

menu.observeDeep(showMenu)
orders.observeDeep(showRecent)
store.on('state', noteSaved)
byId('send').addEventListener('click', send)
byId('sample').addEventListener('click', useSample)
await Promise.all([store.whenLoaded('menu/main'), store.whenLoaded('orders/board')])
showMenu()
showCart()
noteSaved()
