// Mango selectors over the fields of a document, as docs/selectors.md describes them.
// gateway/core/selector.py is the same in Python; tests/vectors/selector.json holds for both.
import * as Y from 'yjs'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
/** `{ station: 'grill', status: { $in: ['open', 'cooking'] } }` */
export type Selector = { [key: string]: Json }
type Fields = Record<string, unknown>
type Test = (value: unknown) => boolean
class TooManySteps {}

const MAX_NESTING = 16
const MAX_TERMS = 256
// Counted as the gateway counts them: both have to give up at the same document.
const MAX_STEPS = 10_000
const MISSING = Symbol('missing')
// What JSON cannot say: it is there, and equal to nothing.
class Odd {}
const ODD = new Odd()

export class SelectorError extends Error {}

/** The test of a selector: give it the fields of a document. Throws `SelectorError`. */
export function compile(selector: Selector): (fields: Fields) => boolean {
  let terms = 0
  let steps = 0
  const test = entries(selector, 0)
  return (fields) => {
    steps = 0
    try {
      return test(fields)
    } catch (error) {
      if (error instanceof TooManySteps) return false
      throw error
    }
  }

  // To look through a list each of its elements is compared with values of this size.
  function look(list: unknown[], size: number): void {
    steps += list.length * size
    if (steps > MAX_STEPS) throw new TooManySteps()
  }

  function count(nesting: number, more: number): void {
    terms += more
    if (nesting > MAX_NESTING || terms > MAX_TERMS) wrong('too many terms, or nested too deeply')
  }

  function entries(wanted: Json, nesting: number): Test {
    if (!isObject(wanted)) wrong('a selector is an object')
    count(nesting, Object.keys(wanted).length)
    return every(Object.entries(wanted).map(([key, one]) => entry(key, one, nesting)))
  }

  function entry(key: string, wanted: Json, nesting: number): Test {
    if (key === '$not') return not(entries(wanted, nesting + 1))
    if (key === '$and' || key === '$or' || key === '$nor') {
      if (!Array.isArray(wanted) || !wanted.length) wrong(`${key} takes a list of selectors`)
      count(nesting, wanted.length)
      const tests = wanted.map((one) => entries(one, nesting + 1))
      return key === '$and' ? every(tests) : key === '$or' ? some(tests) : not(some(tests))
    }
    if (isOperator(key)) wrong(`${key} is not known, or not known here`)
    const path = key.split('.')
    const test = condition(wanted, nesting + 1)
    return (fields) => test(at(fields, path))
  }

  function condition(wanted: Json, nesting: number): Test {
    const keys = isObject(wanted) ? Object.keys(wanted) : []
    if (!isObject(wanted) || !keys.length) return operator('$eq', wanted, nesting)
    const operators = keys.filter(isOperator)
    if (!operators.length) {
      const nested = entries(wanted, nesting)
      return (value) => isObject(value) && nested(value)
    }
    if (operators.length < keys.length) wrong('operators and fields beside each other')
    count(nesting, keys.length)
    return every(keys.map((key) => operator(key, (wanted as Selector)[key], nesting)))
  }

  function operator(name: string, wanted: Json, nesting: number): Test {
    switch (name) {
      case '$eq': return (value) => same(value, wanted)
      case '$ne': return (value) => value !== MISSING && !same(value, wanted)
      case '$gt': return ordered(wanted, (order) => order > 0)
      case '$gte': return ordered(wanted, (order) => order >= 0)
      case '$lt': return ordered(wanted, (order) => order < 0)
      case '$lte': return ordered(wanted, (order) => order <= 0)
      case '$in': {
        const among = list(name, wanted, nesting)
        return (value) => among.some((one) => same(value, one))
      }
      case '$nin': {
        const among = list(name, wanted, nesting)
        return (value) => value !== MISSING && !among.some((one) => same(value, one))
      }
      case '$all': {
        const all = list(name, wanted, nesting)
        const size = sizeOf(wanted)
        return (value) => {
          if (!Array.isArray(value)) return false
          look(value, size)
          return all.every((one) => value.some((item) => same(item, one)))
        }
      }
      case '$exists':
        if (typeof wanted !== 'boolean') wrong('$exists takes true or false')
        return (value) => (value !== MISSING) === wanted
      case '$size':
        if (!Number.isInteger(wanted) || (wanted as number) < 0) wrong('$size takes a whole number')
        return (value) => Array.isArray(value) && value.length === wanted
      case '$not': return not(condition(wanted, nesting + 1))
      case '$elemMatch': {
        const test = condition(wanted, nesting + 1)
        const size = sizeOf(wanted)
        return (value) => {
          if (!Array.isArray(value)) return false
          look(value, size)
          return value.some(test)
        }
      }
      default: return wrong(`${name} is not known, or not known here`)
    }
  }

  function list(name: string, wanted: Json, nesting: number): Json[] {
    if (!Array.isArray(wanted)) wrong(`${name} takes a list`)
    count(nesting, wanted.length)
    return wanted
  }
}

/** The fields of a document: its roots, and what is in its root maps. */
export function fieldsOf(doc: Y.Doc): Fields {
  const fields: Fields = Object.create(null)
  const roots: Fields = Object.create(null)
  for (const name of [...doc.share.keys()].sort(codePoints)) {
    const root = doc.share.get(name)!
    for (const [key, item] of root._map) {
      if (item.deleted) continue
      const shown = isOperator(key) ? '$' + key : key
      if (!(shown in fields)) fields[shown] = plain(item.content.getContent().at(-1))
    }
    const whole = plainRoot(root)
    if (whole !== MISSING) roots[name] = whole
  }
  return Object.assign(fields, roots)
}

function plainRoot(root: Y.AbstractType<any>): unknown {
  const map = [...root._map].filter(([, item]) => !item.deleted)
  if (map.length) return Object.fromEntries(map.map(([key, item]) => [key, plain(item.content.getContent().at(-1))]))
  const items: unknown[] = []
  let text = ''
  let textual = false
  for (let item = root._start; item; item = item.right) {
    if (item.deleted) continue
    const { content } = item
    if (content instanceof Y.ContentString) { text += content.str; textual = true }
    else if (content instanceof Y.ContentFormat || content instanceof Y.ContentEmbed) return ODD
    else items.push(...content.getContent())
  }
  if (textual) return items.length ? ODD : text
  if (!items.length) return MISSING
  return items.some(isXml) ? ODD : items.map(plain)
}

function plain(value: unknown): unknown {
  if (value instanceof Y.Map) return Object.fromEntries([...value.entries()].map(([key, one]) => [key, plain(one)]))
  if (value instanceof Y.Array) return value.toArray().map(plain)
  if (isXml(value)) return ODD
  if (value instanceof Y.Text) {
    const parts = value.toDelta() as { insert: unknown; attributes?: object }[]
    return parts.some(({ insert, attributes }) => attributes || typeof insert !== 'string') ? ODD : value.toString()
  }
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : ODD
  if (typeof value !== 'object' || value instanceof Uint8Array) return ODD
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]))
}

function isXml(value: unknown): boolean {
  return value instanceof Y.XmlElement || value instanceof Y.XmlFragment || value instanceof Y.XmlText
}

function ordered(wanted: Json, holds: (order: number) => boolean): Test {
  if (typeof wanted === 'number') return (value) => typeof value === 'number' && holds(value - wanted)
  if (typeof wanted === 'string') return (value) => typeof value === 'string' && holds(codePoints(value, wanted))
  return wrong('only numbers and texts have an order')
}

/** Texts by code points, as other languages have it; JavaScript compares halves of characters. */
function codePoints(a: string, b: string): number {
  const other = b[Symbol.iterator]()
  for (const character of a) {
    const { value, done } = other.next()
    if (done) return 1
    const difference = character.codePointAt(0)! - value.codePointAt(0)!
    if (difference) return difference
  }
  return other.next().done ? 0 : -1
}

function same(value: unknown, wanted: unknown): boolean {
  if (Array.isArray(value) && Array.isArray(wanted)) {
    return value.length === wanted.length && value.every((one, index) => same(one, wanted[index]))
  }
  if (isObject(value) && isObject(wanted)) {
    const keys = Object.keys(wanted)
    return Object.keys(value).length === keys.length && keys.every((key) => key in value && same(value[key], wanted[key]))
  }
  return value === wanted
}

/** How many values there are, and parts of paths to look for them. */
function sizeOf(wanted: Json): number {
  if (Array.isArray(wanted)) return wanted.reduce<number>((size, one) => size + sizeOf(one), 1)
  if (!isObject(wanted)) return 1
  return Object.entries(wanted).reduce((size, [key, one]) => size + key.split('.').length + sizeOf(one), 1)
}

function at(value: unknown, path: string[]): unknown {
  for (const key of path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return MISSING
    value = value[key]
  }
  return value
}

function isObject(value: unknown): value is Record<string, any> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Odd)
}

function isOperator(key: string): boolean {
  return key.startsWith('$') && !key.startsWith('$$')
}

const every = (tests: Test[]): Test => (value) => tests.every((test) => test(value))
const some = (tests: Test[]): Test => (value) => tests.some((test) => test(value))
const not = (test: Test): Test => (value) => !test(value)

function wrong(reason: string): never {
  throw new SelectorError(`a selector that cannot be used: ${reason}`)
}
