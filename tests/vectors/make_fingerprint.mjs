// Writes fingerprint.json and projection.json with the stock Yjs.
// Run where the packages "yjs" and "lib0" are installed:
//   node make_fingerprint.mjs > fingerprint.json
//   node make_fingerprint.mjs projection > projection.json
import * as Y from 'yjs'
import * as encoding from 'lib0/encoding'
import * as sha256 from 'lib0/hash/sha256'

const hex = bytes => Buffer.from(bytes).toString('hex')

/** The canonical bytes: what gateway/core/fingerprint.py describes, from a Y.Doc. */
function canonical (doc) {
  const deleted = Y.createDeleteSetFromStructStore(doc.store).clients
  const clients = [...Y.decodeStateVector(Y.encodeStateVector(doc))].sort((a, b) => a[0] - b[0])
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, clients.length)
  for (const [client, clock] of clients) {
    const ranges = merged(deleted.get(client) ?? [])
    for (const number of [client, clock, ranges.length]) encoding.writeVarUint(encoder, number)
    for (const [start, end] of ranges) {
      encoding.writeVarUint(encoder, start)
      encoding.writeVarUint(encoder, end - start)
    }
  }
  return encoding.toUint8Array(encoder)
}

function merged (items) {
  const result = []
  for (const { clock, len } of [...items].sort((a, b) => a.clock - b.clock)) {
    const last = result.at(-1)
    if (last && clock <= last[1]) last[1] = Math.max(last[1], clock + len)
    else result.push([clock, clock + len])
  }
  return result
}

/** A generator of numbers below n that is the same on every machine (xorshift32). */
function dice (seed) {
  let state = seed
  return n => {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5
    return (state >>> 0) % n
  }
}

function replica (client, gc = true) {
  const doc = new Y.Doc({ gc })
  doc.clientID = client
  const updates = []
  doc.on('update', (update, origin) => { if (origin !== 'other') updates.push(update) })
  return { doc, updates }
}

const exchange = (from, to) => Y.applyUpdate(
  to.doc, Y.encodeStateAsUpdate(from.doc, Y.encodeStateVector(to.doc)), 'other')

const WORDS = ['a', 'bc', 'dé', '🙂', '👍🏽x', ' ']

/** One random edit; with cuts, texts are edited by UTF-16 unit as naive editors do. */
function edit (doc, roll, cuts) {
  const text = doc.getText('text'); const map = doc.getMap('map'); const list = doc.getArray('list')
  const kind = roll(10)
  if (kind < 3) text.insert(place(text, roll, cuts), WORDS[roll(WORDS.length)])
  else if (kind === 3 && text.length) {
    const at = place(text, roll, cuts)
    text.delete(at, cuts ? Math.min(1 + roll(2), text.length - at) : upTo(text, at))
  } else if (kind === 4 && text.length) {
    const at = place(text, roll, cuts)
    text.format(at, upTo(text, at), { b: roll(3) ? true : null })
  } else if (kind === 5) map.set('abc'[roll(3)], [1, 2.5, 'x', null, { k: [roll(9)] }][roll(5)])
  else if (kind === 6) map.set('abc'[roll(3)], new Y.Map([['n', roll(9)]]))
  else if (kind === 7) map.delete('abc'[roll(3)])
  else if (kind === 8) list.insert(roll(list.length + 1), [roll(99), 'z'])
  else if (list.length) list.delete(roll(list.length), 1)
}

function place (text, roll, cuts) {
  const at = roll(text.length + 1)
  const string = units(text)
  return !cuts && isLow(string.charCodeAt(at)) ? at - 1 : at
}

const upTo = (text, at) => {
  const high = units(text).charCodeAt(at)
  return Math.min(high >= 0xd800 && high < 0xdc00 ? 2 : 1, text.length - at)
}
const isLow = unit => unit >= 0xdc00 && unit < 0xe000
const units = text => text.toDelta().map(part => part.insert).join('')

function random (seed, steps, cuts) {
  const roll = dice(seed)
  const replicas = [11, 2_000_000_022, 3_300_000_033].map((client, i) => replica(client, i < 2))
  const log = []
  for (let step = 0; step < steps; step++) {
    const one = replicas[roll(3)]
    edit(one.doc, roll, cuts)
    log.push(...one.updates.splice(0))
    if (roll(4) === 0) exchange(one, replicas[roll(3)])
    for (const { updates } of replicas) log.push(...updates.splice(0))
  }
  for (const one of replicas) for (const other of replicas) exchange(one, other)
  for (const one of replicas) for (const other of replicas) exchange(one, other)
  for (const { updates } of replicas) log.push(...updates.splice(0))
  const forms = replicas.map(({ doc }) => hex(canonical(doc)))
  if (new Set(forms).size !== 1) throw new Error(`replicas differ: seed ${seed}`)
  return { updates: log, doc: replicas[0].doc }
}

function one (build) {
  const { doc, updates } = replica(7)
  build(doc)
  return { doc, updates }
}

/** The case as a replica sees it that got every update in order. (A replica on which a
 * character was cut without any change coming of it shows U+FFFD where others do not.) */
function describe (name, { updates }) {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, update)
  const bytes = canonical(doc)
  return {
    name,
    updates: updates.map(hex),
    canonical: hex(bytes),
    fingerprint: hex(sha256.digest(bytes).slice(0, 16)),
    text: doc.getText('text').toDelta()
  }
}

function fingerprints () {
  const cases = [
    describe('an empty document', one(() => {})),
    describe('one insertion', one(doc => doc.getText('text').insert(0, 'hello'))),
    describe('two deletions that touch', one(doc => {
      doc.getText('text').insert(0, 'hello')
      doc.getText('text').delete(1, 1)
      doc.getText('text').delete(1, 1)
    })),
    describe('half an emoji replaced', one(doc => {
      doc.getText('text').insert(0, 'a👍b')
      doc.getText('text').delete(2, 1)
      doc.getText('text').insert(2, '\udc4e')
    }))
  ]
  for (let seed = 1; seed <= 8; seed++) cases.push(describe(`random ${seed}`, random(seed * 7919, 25, false)))
  for (let seed = 1; seed <= 4; seed++) cases.push(describe(`random with cuts ${seed}`, random(seed * 104729, 25, true)))
  return cases
}

/** Hand-made content and the JSON form that gateway/core/projection.py gives it. */
function projections () {
  const shown = (name, expected, build) => ({ name, updates: one(build).updates.map(hex), expected })
  return [
    shown('numbers', { map: { bigint: { $bigint: '-9007199254740993' }, half: 0.5, inf: { $number: 'Infinity' }, large: 2 ** 53 + 2, minus: -70, nan: { $number: 'NaN' }, neg: { $number: '-Infinity' }, whole: 3 } }, doc => {
      const values = { bigint: -9007199254740993n, half: 0.5, inf: Infinity, large: 2 ** 53 + 2, minus: -70, nan: NaN, neg: -Infinity, whole: 3 }
      for (const [key, value] of Object.entries(values)) doc.getMap('map').set(key, value)
    }),
    shown('bytes, undefined, null and a key that looks like a form', { map: { $$bytes: 'genuine', bytes: { $bytes: 'AAH/' }, inner: { $$undefined: true }, none: null, undef: { $undefined: true }, yes: true, no: false } }, doc => {
      const values = { $bytes: 'genuine', bytes: new Uint8Array([0, 1, 255]), inner: { $undefined: true }, none: null, undef: undefined, yes: true, no: false }
      for (const [key, value] of Object.entries(values)) doc.getMap('map').set(key, value)
    }),
    shown('types in types', { list: [1, { n: [{ deep: 'text' }] }, ['x']] }, doc => {
      const inner = new Y.Map(); const deep = new Y.Map()
      deep.set('deep', new Y.Text('text'))
      inner.set('n', Y.Array.from([deep]))
      doc.getArray('list').push([1, inner, Y.Array.from(['x'])])
    }),
    shown('formatted text with an embed', { text: { $text: [{ insert: 'bold', attributes: { b: true } }, { insert: ' plain' }, { insert: { image: 'x.png' } }] } }, doc => {
      const text = doc.getText('text')
      text.insert(0, 'bold', { b: true })
      text.insert(4, ' plain', { b: null })
      text.insertEmbed(10, { image: 'x.png' })
    }),
    shown('XML', { xml: { $xml: '<p class="a&amp;b">one <em>two</em><br></br></p>' } }, doc => {
      const p = new Y.XmlElement('p'); const text = new Y.XmlText()
      p.setAttribute('class', 'a&b')
      doc.getXmlFragment('xml').insert(0, [p])
      p.insert(0, [text, new Y.XmlElement('br')])
      text.insert(0, 'one ')
      text.insert(4, 'two', { em: {} })
    }),
    shown('roots: empty ones are left out, a dollar is escaped', { $$odd: [1], '': { a: 1 } }, doc => {
      doc.getArray('$odd').push([1])
      doc.getMap('').set('a', 1)
      doc.getArray('empty').push([1])
      doc.getArray('empty').delete(0, 1)
      doc.getText('never')
    }),
    shown('a text with attributes of its own', { text: { $map: { lang: 'en' }, $sequence: 'hi' } }, doc => {
      doc.getText('text').insert(0, 'hi')
      doc.getText('text').setAttribute('lang', 'en')
    })
  ]
}

const cases = process.argv[2] === 'projection' ? projections() : fingerprints()
process.stdout.write(JSON.stringify(cases, null, 1) + '\n')
export { canonical, random, describe }
