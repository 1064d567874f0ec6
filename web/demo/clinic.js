// The clinic: schema 2. A patient list, and one document a visit: many over one link.
import { byId, element, installation, openStore, randomId, Y } from './shared.js'
import { here, SAVED } from './words.js'

const VITALS = [['temperature', 'Temperature °C'], ['pulse', 'Pulse /min'], ['pressure', 'Blood pressure'], ['oxygen', 'Oxygen %']]
const NAMES = ['Nurse Ada', 'Nurse Ben', 'Nurse Chloe', 'Nurse Dev', 'Doctor Eve', 'Doctor Femi']

const store = openStore('clinic', '2')
const patients = store.doc('patients/list').getMap('patients')
const me = installation('clinic-name', () => NAMES[Math.floor(Math.random() * NAMES.length)])
let current = null
let leave = () => {}

function showPatients() {
  const list = [...patients].map(([id, patient]) => [id, patient.get('name')]).sort((a, b) => a[1].localeCompare(b[1]))
  byId('patients').replaceChildren(...list.map(([id, name]) =>
    element('li', {}, element('button', { 'aria-current': String(id === current), onclick: () => open(id) }, name))))
  byId('no-patients').hidden = list.length > 0
}

/** What was typed, as one deletion and one insertion, so that others' edits stay. */
function edit(text, value) {
  const old = text.toString()
  if (old === value) return
  let start = 0
  while (start < old.length && start < value.length && old[start] === value[start]) start++
  // Never between the halves of one character.
  if (start > 0 && /[\uD800-\uDBFF]/.test(old[start - 1] ?? '')) start--
  let end = 0
  while (end < old.length - start && end < value.length - start && old[old.length - 1 - end] === value[value.length - 1 - end]) end++
  if (end > 0 && /[\uDC00-\uDFFF]/.test(old[old.length - end] ?? '')) end--
  text.doc.transact(() => {
    text.delete(start, old.length - start - end)
    text.insert(start, value.slice(start, value.length - end))
  })
}

function open(id) {
  leave()
  current = id
  const name = `visits/${id}`
  const doc = store.doc(name)
  const note = doc.getText('note')
  const vitals = doc.getMap('vitals')
  const awareness = store.awareness(name)
  const area = byId('text')
  awareness.setLocalState({ name: me })

  const showNote = () => {
    const { selectionStart, selectionEnd } = area
    const moved = area.value
    area.value = note.toString()
    if (document.activeElement !== area || moved === area.value) return
    const shift = area.value.length - moved.length
    const before = area.value.slice(0, selectionStart) === moved.slice(0, selectionStart)
    area.setSelectionRange(selectionStart + (before ? 0 : shift), selectionEnd + (before ? 0 : shift))
  }
  const fields = VITALS.map(([key, label]) => {
    const input = element('input', { inputmode: 'decimal', autocomplete: 'off', maxlength: '12' })
    input.addEventListener('change', () => vitals.set(key, input.value))
    return { key, label, input }
  })
  byId('vitals').replaceChildren(...fields.map(({ label, input }) => element('label', { class: 'field' }, label, input)))
  // What is being typed is not taken away by another nurse's entry.
  const showVitals = () => fields.forEach(({ key, input }) => {
    if (document.activeElement !== input) input.value = vitals.get(key) ?? ''
  })
  const showPresent = () => {
    const others = [...awareness.getStates()].filter(([client]) => client !== doc.clientID).map(([, state]) => state.name)
    byId('present').textContent = here(others.filter(Boolean))
  }
  const showState = () => { byId('note-state').textContent = SAVED[store.state(name)] }

  note.observe(showNote)
  vitals.observe(showVitals)
  awareness.on('change', showPresent)
  const off = store.on('state', showState)
  area.oninput = () => edit(note, area.value)
  leave = () => {
    note.unobserve(showNote)
    vitals.unobserve(showVitals)
    awareness.off('change', showPresent)
    awareness.setLocalState(null)
    off()
  }
  byId('visit-name').textContent = patients.get(id).get('name')
  byId('visit').hidden = false
  byId('choose').hidden = true
  showNote()
  showVitals()
  showPresent()
  showState()
  showPatients()
}

byId('add').addEventListener('submit', (event) => {
  event.preventDefault()
  const name = byId('patient-name').value.trim()
  if (!name) return
  const id = randomId()
  patients.set(id, new Y.Map([['name', name], ['schema', 2]]))
  byId('patient-name').value = ''
  open(id)
})
patients.observeDeep(showPatients)
await store.whenLoaded('patients/list')
showPatients()
