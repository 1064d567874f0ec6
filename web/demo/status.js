// The status page: asks every two seconds and says plainly when nobody answers.
import { byId, element } from './dom.js'

const ASK_MS = 2_000
const size = (bytes) => (bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : bytes > 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${bytes ?? 0} B`)
const age = (seconds) => (seconds > 7200 ? `${Math.floor(seconds / 3600)} h` : seconds > 120 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds ?? 0)} s`)
const row = (...cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, String(cell ?? ''))))
const card = (label, value, hint = '') => element('div', { class: 'card' }, element('span', {}, label), element('b', {}, String(value)), element('small', {}, hint))
const ill = ({ lamp }) => lamp === 'slow' || lamp === 'fast'

function show(status) {
  const { store = {}, bluetooth = {}, cloud: bridge = {}, counters = {}, sessions = [], documents = [], limits = {} } = status
  byId('name').textContent = status.name ?? ''
  byId('link').textContent = status.sentence ?? ''
  byId('link').dataset.state = status.state === 'ok' && !bridge.broken && !ill(bluetooth) ? 'online' : 'offline'
  byId('cards').replaceChildren(
    card('Devices', status.session_count ?? sessions.length, status.open ? 'open to whoever reaches it' : 'paired devices only'),
    card('Documents', store.documents ?? 0, `${status.document_count ?? 0} in memory`),
    card('On disk', size(store.file_bytes), `${store.waiting ?? 0} changes not yet written`),
    card('Changes', counters.updates ?? 0, 'since the start'),
    card('Refused', counters.refused ?? 0, `${store.quarantined ?? 0} kept in quarantine, ${counters.forged ?? 0} in another’s name`),
    radio(bluetooth),
    cloud(bridge),
    card('Running', age(status.uptime_s), `version ${status.version ?? '?'}`))
  byId('sessions').replaceChildren(...sessions.map((s) => row(
    s.about?.name ?? s.about?.app ?? s.address, s.kind, age(s.since_s), s.documents, size(s.received_bytes), size(s.sent_bytes), s.unsaved)))
  byId('no-sessions').hidden = sessions.length > 0
  byId('documents').replaceChildren(...documents.map((d) => row(d.name, d.peers, size(d.bytes), d.early ? `${d.early} early` : '')))
  byId('limits').replaceChildren(...Object.entries(limits).flatMap(([name, value]) => [element('dt', {}, name.replaceAll('_', ' ')), element('dd', {}, String(value))]))
}

function radio({ state, lamp, sentence = '', do: advice = '', phones = 0, adapter = '' }) {
  const trouble = ill({ lamp })
  byId('bluetooth').textContent = trouble ? `${sentence} ${advice}` : ''
  byId('bluetooth').hidden = !trouble
  if (trouble) return card('Bluetooth', phones || 'out', 'see above')
  return lamp === 'on' ? card('Bluetooth', phones, `phones, by ${adapter}`) : card('Bluetooth', 'off', state === 'bluetooth-unclaimed' ? 'until this gateway is claimed' : 'in the settings')
}

function cloud({ state = 'cloud-off', broken, sentence = '', do: advice = '', waiting = 0, compare = {} }) {
  byId('cloud').textContent = broken ? `${sentence} ${advice}` : ''
  byId('cloud').hidden = !broken
  if (state === 'cloud-off') return card('Cloud', 'off', 'in the settings')
  if (broken) return card('Cloud', 'down', `see above; ${waiting} document${waiting === 1 ? ' waits' : 's wait'}`)
  if (state !== 'cloud-ok') return card('Cloud', 'waits', sentence)
  return card('Cloud', 'connected', compare.running ? `${waiting} documents not there yet or to compare` : `${waiting} documents not there yet`)
}

async function ask() {
  try {
    const response = await fetch('/api/status', { cache: 'no-store' })
    const status = await response.json()
    if (response.ok) show(status)
    else down(status.sentence)
  } catch {
    down('The gateway does not answer. Is it running?')
  }
  setTimeout(ask, ASK_MS)
}

function down(sentence) {
  byId('link').textContent = sentence
  byId('link').dataset.state = 'offline'
}

navigator.serviceWorker?.register('/worker.js')
ask()
