// Tickets, revocations and pairing texts on the shared vectors.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { source } from './source.mjs'

const { encodeMap, Malformed, PairingCodeError, pairingSecret, readCertificate, Revocations, Untrusted, verifyTicket } =
  await source('cbor', 'wire', 'pairing-code', 'pairing-uri', 'certificate', 'revocations', 'signed', 'ticket')

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url)))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')
const code = (number) => (error) => error.code === number
const { store, certificate, credential, ticket, revocations } = vectors('tickets')
const { invitations, request } = vectors('pairing')
const root = bytes(store.root_public)
const otherRoot = bytes(certificate.claims.signing_key)
const ours = bytes(ticket.claims.noise_key)

function flips(data, check) {
  for (let bit = 0; bit < 8 * data.length; bit++) {
    const flipped = Uint8Array.from(data)
    flipped[bit >> 3] ^= 1 << (bit & 7)
    assert.throws(() => check(flipped), (error) => error instanceof Malformed || error instanceof Untrusted)
  }
}

for (const { uri, static: key, secret, store } of invitations) {
  test(`a QR code: ${uri.slice(-30)}`, () => {
    const found = pairingSecret(`  ${uri}&new=1\n`)
    assert.deepEqual([hex(found.static), hex(found.psk), hex(found.store)], [key, secret, store])
  })
}

test('a text that is no QR code and no typed code', () => {
  const { uri } = invitations[0]
  const wrong = [
    uri.replace('v=1', 'v=2'), uri.replace('pair', 'pare'), uri.replace('k=I', 'k='), uri.replace('s=K', 's=*'), uri.replace(/&i=[^&]*/, ''),
    uri.replace(/&a=.*/, ''), uri + ',', uri + ',a:1'.repeat(8), uri + '?', uri + '&x=' + 'x'.repeat(1_024), 'store-gateway:', '',
  ]
  for (const text of [...wrong, undefined, null, 7]) assert.throws(() => pairingSecret(text), PairingCodeError, text)
  assert.throws(() => pairingSecret(''), { name: 'PairingCodeError' })
})

test('a typed code has no gateway and no store', () => {
  const found = pairingSecret(' 9v3zk-0tq4c-abcde-fghjk ')
  assert.deepEqual([found.psk.length, found.static, found.store], [32, undefined, undefined])
})

test('what a device says to be paired', () => {
  assert.equal(hex(encodeMap([1, request.name, request.role, bytes(request.signing_key)])), request.hex)
})

test('a ticket of this store, for this device', () => {
  const { peer, issuer } = verifyTicket(bytes(credential.hex), root, ours)
  assert.deepEqual([hex(peer), hex(issuer.serial)], [ticket.claims.peer, ticket.claims.issuer])
  assert.throws(() => verifyTicket(bytes(credential.hex), root, root), code(4401))
  assert.throws(() => verifyTicket(bytes(credential.hex), otherRoot, ours), code(4421))
  assert.throws(() => verifyTicket(bytes(ticket.hex), root, ours), Malformed)
  assert.throws(() => verifyTicket(bytes('8240' + '40'), root, ours), Malformed)
})

test('every flipped bit of a ticket is refused', () => flips(bytes(credential.hex), (data) => verifyTicket(data, root, ours)))

test('revocations: each counts once, in any order the same', () => {
  const entries = revocations.map((one) => bytes(one.hex))
  const [one, other] = [new Revocations(root), new Revocations(root)]
  assert.deepEqual(entries.map((entry) => one.add(entry)), entries.map(() => true))
  assert.deepEqual(entries.map((entry) => one.add(entry)), entries.map(() => false))
  entries.toReversed().forEach((entry) => other.add(entry))
  assert.deepEqual(one.entries(), other.entries())
  // By kind and subject.
  const sorted = revocations.toSorted((a, b) => a.claims.kind - b.claims.kind).map((entry) => bytes(entry.hex))
  assert.deepEqual(one.entries(), sorted)
  const digest = createHash('sha256')
  for (const entry of sorted) digest.update(createHash('sha256').update(entry).digest())
  assert.equal(hex(one.digest()), digest.digest('hex').slice(0, 32))
})

test('a gateway is shut out by its certificate', () => {
  const gateway = readCertificate(bytes(certificate.hex), root)
  const known = new Revocations(root)
  for (const { hex: entry, claims } of revocations) {
    assert.equal(known.includes(gateway), false)
    known.add(bytes(entry))
    if (claims.kind === 2) return assert.ok(known.includes(gateway))
  }
  assert.fail('no such example')
})

test('a revocation of another store, and a changed one, are none', () => {
  for (const { hex: entry } of revocations) assert.throws(() => new Revocations(otherRoot).add(bytes(entry)), code(4421))
  flips(bytes(revocations[0].hex), (data) => new Revocations(root).add(data))
})
