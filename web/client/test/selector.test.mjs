// The shared cases of selectors, on real Yjs documents.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as Y from 'yjs'
import { compile, fieldsOf, SelectorError } from '../dist/index.js'

const vectors = JSON.parse(readFileSync(new URL('../../../tests/vectors/selector.json', import.meta.url)))

const SPECIAL = {
  $number: (text) => Number(text),
  $undefined: () => undefined,
  $bytes: (text) => Uint8Array.from(Buffer.from(text, 'base64')),
  $bigint: (text) => BigInt(text),
}

// A projection as values and shared types again; objects alternate between the two.
function shared(value, nested) {
  if (Array.isArray(value)) return nested ? Y.Array.from(value.map((one) => shared(one, false))) : value
  if (value === null || typeof value !== 'object') return value
  const [[key, one], ...rest] = [...Object.entries(value), ['', null]]
  if (rest.length === 1 && key in SPECIAL) return SPECIAL[key](one)
  return nested ? new Y.Map(Object.entries(value).map(([key, one]) => [unescaped(key), shared(one, true)])) : value
}

const unescaped = (key) => (key.startsWith('$$') ? key.slice(1) : key)

function document(roots) {
  const doc = new Y.Doc()
  for (const [name, value] of Object.entries(roots)) {
    if (typeof value === 'string') doc.getText(name).insert(0, value)
    else if (Array.isArray(value)) doc.getArray(name).insert(0, value)
    else for (const [key, one] of Object.entries(value)) doc.getMap(name).set(unescaped(key), shared(one, true))
  }
  // As it is after a start: roots without their types.
  const fresh = new Y.Doc()
  Y.applyUpdate(fresh, Y.encodeStateAsUpdate(doc))
  return fresh
}

const fields = Object.fromEntries(Object.entries(vectors.documents).map(([name, roots]) => [name, fieldsOf(document(roots))]))
const parsed = (text) => (text ? JSON.parse(text) : {})

for (const [text, name, expected] of vectors.cases) {
  test(`${text || 'everything'} and ${name}`, () => assert.equal(compile(parsed(text))(fields[name]), expected))
}

for (const text of vectors.wrong.filter((text) => text !== '{')) {
  test(`${text} is no selector`, () => assert.throws(() => compile(parsed(text)), SelectorError))
}

test('a selector is bounded', () => {
  assert.throws(() => compile({ a: { $in: [...Array(256).keys()] } }), SelectorError)
  let deep = {}
  for (let i = 0; i < 18; i++) deep = { $not: deep }
  assert.throws(() => compile(deep), SelectorError)
})

test('formatted text and XML are equal to nothing', () => {
  const doc = new Y.Doc()
  doc.getMap('m').set('text', new Y.Text('plain'))
  doc.getMap('m').set('xml', new Y.XmlElement('p'))
  const bold = new Y.Text('bold')
  doc.getMap('m').set('bold', bold)
  bold.format(0, 4, { bold: true })
  doc.getText('root').insert(0, 'bold')
  doc.getText('root').format(0, 4, { bold: true })
  const fields = fieldsOf(doc)
  assert.equal(compile({ text: 'plain' })(fields), true)
  for (const name of ['xml', 'bold', 'root']) {
    assert.equal(compile({ [name]: 'bold' })(fields), false)
    assert.equal(compile({ [name]: { $exists: true } })(fields), true)
  }
})
