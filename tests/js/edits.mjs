// Seeded edits of all shared types, and digests that are equal only for equal documents.
// The copy of Yjs is handed in, because the SDK's browser file brings its own.

export function random(seed) {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 4294967296) * below)
  }
}

const WORDS = ['grill', 'café', '👩‍🍳', 'no onions', '', 'ß', 'x'.repeat(40)]

function sorted(key, value) {
  return value && value.constructor === Object
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value
}

export function edits(Y) {
  function editMap(doc, pick) {
    const map = doc.getMap('map')
    const key = 'k' + pick(6)
    if (pick(5) === 0) map.delete(key)
    else if (pick(3) === 0) map.set(key, new Y.Map([['status', WORDS[pick(WORDS.length)]], ['qty', pick(9)]]))
    else map.set(key, [pick(100), pick(2) === 0, null, 1.5, WORDS[pick(WORDS.length)], { deep: { n: pick(9) } }][pick(6)])
    const nested = [...map.values()].find((value) => value instanceof Y.Map)
    if (nested) nested.set('status', WORDS[pick(WORDS.length)])
  }

  function editArray(doc, pick) {
    const array = doc.getArray('array')
    if (array.length > 4 && pick(3) === 0) array.delete(pick(array.length - 1), 1)
    else array.insert(pick(array.length + 1), [pick(1000), new Uint8Array([pick(256), 7])].slice(0, 1 + pick(2)))
  }

  function editText(doc, pick) {
    const text = doc.getText('text')
    if (text.length > 8 && pick(3) === 0) text.delete(pick(text.length - 3), 3)
    else if (text.length > 4 && pick(4) === 0) {
      // Stock Yjs cuts a character in two for good when only formatting ends inside it, and
      // tells nobody, so replicas differ for ever: formatting here ends between characters.
      const end = /[\uD800-\uDBFF]/.test(text.toString()[2]) ? 4 : 3
      text.format(0, end, { bold: pick(2) === 0 ? true : null })
    }
    else text.insert(pick(text.length + 1), WORDS[pick(WORDS.length)] || 'e')
  }

  function editXml(doc, pick) {
    const xml = doc.getXmlFragment('xml')
    if (xml.length > 3 && pick(3) === 0) xml.delete(0, 1)
    else {
      const element = new Y.XmlElement('line')
      element.setAttribute('n', String(pick(100)))
      xml.insert(pick(xml.length + 1), [element])
      element.insert(0, [new Y.XmlText(WORDS[pick(WORDS.length)] || 'e')])
    }
  }

  function edit(doc, pick, count) {
    for (let i = 0; i < count; i++) {
      doc.transact(() => [editMap, editArray, editText, editXml][pick(4)](doc, pick))
    }
  }

  function digest(doc) {
    const content = [
      doc.getMap('map').toJSON(), doc.getArray('array').toJSON(),
      doc.getText('text').toDelta(), doc.getXmlFragment('xml').toString(),
    ]
    const { sv, ds } = Y.snapshot(doc)
    const vector = [...sv].filter(([, clock]) => clock > 0).sort((a, b) => a[0] - b[0])
    const deleted = [...ds.clients].filter(([, ranges]) => ranges.length).sort((a, b) => a[0] - b[0])
    const whole = JSON.stringify([content, vector, deleted], sorted)
    return doc.store.pendingStructs || doc.store.pendingDs ? 'pending ' + whole : whole
  }

  return { edit, digest }
}
