// Genuine updates made by Yjs, as JSON on standard output.
//
//   node tests/fuzz/make_golden.mjs --seed 1 --histories 20 --steps 16 > tests/fuzz/corpus/golden.json
//
// A history is what three authors of one document emitted, in an order in which every update
// finds what it builds on; "whole" is the state at the end, "others" are further genuine forms:
// merged updates (with gaps), differences, states of an author without garbage collection.
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'

const require = createRequire(new URL('../js/package.json', import.meta.url))
const Y = require('yjs')

const options = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    histories: { type: 'string', default: '20' },
    steps: { type: 'string', default: '16' },
  },
}).values

// mulberry32: the same numbers everywhere.
const generator = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const WORDS = ['a', 'Tisch 7', 'grüße', '👩‍🍳', 'x'.repeat(40), 'naïve 😀 end', '漢字', '']
const hex = (bytes) => Buffer.from(bytes).toString('hex')

class Maker {
  constructor (seed) {
    this.random = generator(seed)
  }

  below (n) {
    return Math.floor(this.random() * n)
  }

  pick (list) {
    return list[this.below(list.length)]
  }

  client () {
    // Yjs draws 32 bits, other libraries up to 53.
    return this.below(4) ? this.below(2 ** 32) : Math.floor(this.random() * 2 ** 53)
  }

  value (depth = 0) {
    const simple = [
      1, -7, 0, -0, 3.5, 1e100, 2 ** 40, -(2 ** 52), NaN, Infinity, true, false, null,
      this.pick(WORDS), new Uint8Array([0, 255, 7]),
    ]
    // Yjs takes these only inside of other values.
    if (depth) simple.push(undefined, 1234567890123456789n)
    const kind = depth > 3 ? 0 : this.below(6)
    if (kind === 4) return Array.from({ length: this.below(4) }, () => this.value(depth + 1))
    if (kind === 5) {
      return Object.fromEntries(WORDS.slice(0, this.below(4)).map((k) => [k, this.value(depth + 1)]))
    }
    return this.pick(simple)
  }

  shared () {
    const kind = this.below(4)
    if (kind === 0) return new Y.Map([['sku', this.value()], ['n', this.below(9)]])
    if (kind === 1) return Y.Array.from([this.value(), this.value()])
    if (kind === 2) return new Y.Text(this.pick(WORDS))
    const element = new Y.XmlElement('p')
    element.setAttribute('class', 'c' + this.below(3))
    element.insert(0, [new Y.XmlText(this.pick(WORDS))])
    return element
  }

  // One edit somewhere in the document, of a kind that is possible there.
  edit (doc) {
    const edits = [this.editMap, this.editMap, this.editArray, this.editText, this.editText, this.editXml]
    this.pick(edits).call(this, doc)
  }

  editMap (doc) {
    let map = doc.getMap('map')
    const inner = [...map.values()].filter((value) => value instanceof Y.Map)
    if (inner.length && this.below(2)) map = this.pick(inner)
    const key = this.pick(['status', 'table', 'lines', '', 'ключ'])
    if (this.below(6) === 0) map.delete(key)
    else map.set(key, this.below(3) ? this.value() : this.shared())
  }

  editArray (doc) {
    const array = doc.getArray('array')
    const at = this.below(array.length + 1)
    if (array.length > 2 && this.below(3) === 0) array.delete(this.below(array.length - 1), 1 + this.below(2))
    else if (this.below(3)) array.insert(at, [this.value(), this.value(), this.below(99)])
    else array.insert(at, [this.below(2) ? this.shared() : new Y.Map([['n', 1]])])
  }

  editText (doc) {
    const text = doc.getText('text')
    const at = this.below(text.length + 1)
    const some = Math.min(text.length - at, 1 + this.below(5))
    switch (this.below(6)) {
      case 0:
        text.insert(at, this.pick(WORDS), { bold: this.below(2) ? true : null })
        break
      case 1:
        text.insertEmbed(at, { image: this.pick(WORDS), size: this.below(9) })
        break
      case 2:
        // Also through the middle of an emoji: Yjs puts U+FFFD in the place of each half.
        if (some > 0) text.delete(at, some)
        break
      case 3:
        if (some > 0) text.format(at, some, { [this.pick(['bold', 'link'])]: this.pick([true, null, { href: 'x' }]) })
        break
      default:
        text.insert(at, this.pick(WORDS))
    }
  }

  editXml (doc) {
    const fragment = doc.getXmlFragment('xml')
    const at = this.below(fragment.length + 1)
    const node = fragment.length ? fragment.get(this.below(fragment.length)) : null
    if (node instanceof Y.XmlElement && this.below(2)) node.setAttribute('id', this.pick(WORDS))
    else if (node instanceof Y.XmlText && this.below(2)) node.insert(0, this.pick(WORDS), { em: true })
    else if (fragment.length > 2 && this.below(3) === 0) fragment.delete(this.below(fragment.length), 1)
    else fragment.insert(at, [this.below(2) ? new Y.XmlElement('li') : new Y.XmlText(this.pick(WORDS))])
  }

  history (name, steps) {
    const authors = [0, 1, 2].map((n) => {
      const doc = new Y.Doc({ gc: n !== 2 })
      doc.clientID = this.client()
      const roots = [doc.getMap('map'), doc.getArray('array'), doc.getText('text'), doc.getXmlFragment('xml')]
      return { doc, undo: new Y.UndoManager(roots, { captureTimeout: 0 }), seen: 0, late: doc }
    })
    const updates = []
    let quiet = false
    for (const { doc } of authors) {
      doc.on('update', (update, origin) => { if (origin !== 'remote' && !quiet) updates.push(update) })
    }
    const catchUp = (author) => {
      for (; author.seen < updates.length; author.seen++) {
        Y.applyUpdate(author.doc, updates[author.seen], 'remote')
      }
    }
    for (let step = 0; step < steps; step++) {
      const author = this.pick(authors)
      if (this.below(2)) catchUp(author)
      const kind = this.below(12)
      if (kind === 0) author.undo.undo()
      else if (kind === 1) author.undo.redo()
      else if (kind < 5) author.doc.transact(() => { for (let n = 0; n < 3; n++) this.edit(author.doc) })
      else this.edit(author.doc)
    }
    quiet = true
    authors.forEach(catchUp)
    const whole = Y.encodeStateAsUpdate(authors[0].doc)
    const others = [
      Y.mergeUpdates(updates.filter((_, n) => n % 3 !== 1)),
      Y.mergeUpdates(updates.slice(Math.floor(updates.length / 2))),
      Y.diffUpdate(whole, Y.encodeStateVectorFromUpdate(Y.mergeUpdates(updates.slice(0, 4)))),
      Y.encodeStateAsUpdate(authors[2].doc),
      Y.encodeStateAsUpdate(authors[1].doc, Y.encodeStateVector(new Y.Doc())),
    ]
    return { name, updates: updates.map(hex), whole: hex(whole), others: others.map(hex) }
  }
}

const maker = new Maker(Number(options.seed))
const histories = Array.from({ length: Number(options.histories) }, (_, n) =>
  JSON.stringify(maker.history(`yjs-${options.seed}-${n}`, Number(options.steps))))
process.stdout.write('[\n' + histories.join(',\n') + '\n]\n')
