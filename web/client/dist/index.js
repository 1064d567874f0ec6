// src/document.ts
import { IndexeddbPersistence } from "y-indexeddb";
import { applyAwarenessUpdate, Awareness, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import * as Y2 from "yjs";

// src/fingerprint.ts
import { digest } from "lib0/hash/sha256";
import * as Y from "yjs";

// src/wire.ts
var Malformed = class extends Error {
};
var MESSAGE_BYTES = 262144;
var MAX_RECORDS = 4096;
var MAX_VARINT = Number.MAX_SAFE_INTEGER;
var utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
var encoder = new TextEncoder();
var Writer = class {
  parts = [];
  varint(value) {
    while (value > 127) {
      this.parts.push(value % 128 | 128);
      value = Math.floor(value / 128);
    }
    this.parts.push(value);
    return this;
  }
  raw(bytes2) {
    for (const byte of bytes2) this.parts.push(byte);
    return this;
  }
  bytes(bytes2) {
    return this.varint(bytes2.length).raw(bytes2);
  }
  string(text) {
    return this.bytes(encoder.encode(text));
  }
  done() {
    return Uint8Array.from(this.parts);
  }
};
var Reader = class {
  constructor(data) {
    this.data = data;
  }
  data;
  position = 0;
  get left() {
    return this.data.length - this.position;
  }
  varint() {
    let value = 0;
    let scale = 1;
    for (; ; ) {
      if (this.position >= this.data.length) throw new Malformed("a number is cut off");
      const byte = this.data[this.position++];
      value += (byte & 127) * scale;
      if (value > MAX_VARINT) throw new Malformed("a number is too large");
      if (byte < 128) {
        if (byte === 0 && scale > 1) throw new Malformed("a number is not in its shortest form");
        return value;
      }
      scale *= 128;
      if (scale > MAX_VARINT) throw new Malformed("a number is too large");
    }
  }
  take(length) {
    if (length > this.left) throw new Malformed("a length goes beyond the end");
    const start = this.position;
    this.position += length;
    return this.data.subarray(start, this.position);
  }
  bytes() {
    return this.take(this.varint());
  }
  string() {
    try {
      return utf8.decode(this.bytes());
    } catch (error) {
      if (error instanceof Malformed) throw error;
      throw new Malformed("a text is not UTF-8");
    }
  }
  rest() {
    return this.take(this.left);
  }
};
var LAYOUTS = {
  1: ["HELLO", [["lowest", "varint"], ["highest", "varint"], ["peer", "peer"], ["features", "varint"], ["message_bytes", "varint"], ["about", "pairs"]]],
  2: ["AUTH", [["method", "varint"], ["credential", "bytes"]]],
  3: ["GRANT", [["grants", "grants"]]],
  4: ["GOODBYE", [["code", "varint"], ["reason", "string"], ["retry_ms", "varint"]]],
  5: ["PING", [["nonce", "varint"]]],
  6: ["PONG", [["nonce", "varint"]]],
  7: ["OPEN", [["handle", "varint"], ["document", "string"], ["state_vector", "bytes"]]],
  8: ["DIFF", [["handle", "varint"], ["flags", "varint"], ["fingerprint", "fingerprint"], ["update", "rest"]]],
  9: ["UPDATE", [["handle", "varint"], ["update", "rest"]]],
  10: ["CLOSE", [["handle", "varint"]]],
  11: ["ACK", [["number", "varint"]]],
  12: ["REFUSE", [["number", "varint"], ["code", "varint"], ["reason", "string"]]],
  13: ["DENY", [["document", "string"], ["code", "varint"], ["reason", "string"]]],
  14: ["AWARENESS", [["handle", "varint"], ["payload", "rest"]]],
  15: ["STALE", [["handle", "varint"]]],
  16: ["SUBSCRIBE", [["subscription", "varint"], ["collection", "string"], ["selector", "string"]]],
  17: ["UNSUBSCRIBE", [["subscription", "varint"]]],
  18: ["RECONCILE", [["exchange", "varint"], ["ranges", "rest"]]],
  19: ["PEERS", [["entries", "peers"]]],
  20: ["NOISE", [["pattern", "varint"], ["message", "rest"]]],
  21: ["MEMBER", [["method", "varint"], ["credential", "bytes"]]],
  22: ["TICKET", [["credential", "bytes"], ["root", "bytes"]]],
  23: ["REVOKED", [["entry", "rest"]]],
  24: ["DIGEST", [["revocations", "digest"]]],
  25: ["DEFLATED", [["batch", "rest"]]],
  26: ["STATE", [["digest", "state"]]]
};
var NUMBERS = new Map(Object.entries(LAYOUTS).map(([number2, [name, layout]]) => [name, [Number(number2), layout]]));
var PEER_LAYOUT = [["peer", "peer"], ["role", "varint"], ["via", "bytes"], ["link", "varint"], ["round_trip_ms", "varint"], ["about", "pairs"]];
function counted(reader, most, read3) {
  const count = reader.varint();
  if (count > most) throw new Malformed("a list is too long");
  return Array.from({ length: count }, read3);
}
function fixed(bytes2, ...lengths) {
  if (!lengths.includes(bytes2.length)) throw new Malformed("a field has the wrong length");
  return bytes2;
}
function shorter(text, most) {
  if (encoder.encode(text).length > most) throw new Malformed("a text is too long");
  return text;
}
function readField(reader, kind) {
  switch (kind) {
    case "varint":
      return reader.varint();
    case "string":
      return reader.string();
    case "bytes":
      return reader.bytes();
    case "rest":
      return reader.rest();
    case "peer":
    case "digest":
      return fixed(reader.bytes(), 16);
    case "fingerprint":
      return fixed(reader.bytes(), 0, 16);
    case "state":
      return fixed(reader.bytes(), 4);
    case "pairs":
      return counted(reader, 16, () => [shorter(reader.string(), 64), shorter(reader.string(), 256)]);
    case "grants":
      return counted(reader, 256, () => [reader.string(), reader.varint()]);
    case "peers":
      return counted(reader, 1e3, () => readFields(reader, PEER_LAYOUT));
  }
}
function readFields(reader, layout) {
  return Object.fromEntries(layout.map(([name, kind]) => [name, readField(reader, kind)]));
}
function writeField(writer, kind, value) {
  if (kind === "varint") writer.varint(value);
  else if (kind === "string") writer.string(value);
  else if (kind === "rest") writer.raw(value);
  else if (kind === "pairs") {
    writer.varint(value.length);
    for (const [key, text] of value) writer.string(key).string(text);
  } else if (kind === "grants") {
    writer.varint(value.length);
    for (const [pattern, rights] of value) writer.string(pattern).varint(rights);
  } else if (kind === "peers") {
    writer.varint(value.length);
    for (const entry of value) for (const [name, inner] of PEER_LAYOUT) writeField(writer, inner, entry[name]);
  } else writer.bytes(value);
}
function encode(message) {
  const [number2, layout] = NUMBERS.get(message.type);
  const body = new Writer().varint(number2);
  for (const [name, kind] of layout) writeField(body, kind, message[name]);
  return new Writer().bytes(body.done()).done();
}
function decode(data) {
  const reader = new Reader(data);
  const messages = [];
  let records = 0;
  while (reader.left) {
    const record = reader.bytes();
    if (!record.length || ++records > MAX_RECORDS) throw new Malformed("a record is empty, or there are too many");
    const inner = new Reader(record);
    const known = LAYOUTS[inner.varint()];
    if (known) messages.push({ type: known[0], ...readFields(inner, known[1]) });
  }
  if (!records) throw new Malformed("an empty message");
  return messages;
}
function batches(framed2, limit) {
  const messages = [];
  let parts = [];
  let size = 0;
  const flush = () => {
    if (!parts.length) return;
    const message = new Uint8Array(size);
    let position = 0;
    for (const part of parts) {
      message.set(part, position);
      position += part.length;
    }
    messages.push(message);
    parts = [];
    size = 0;
  };
  for (const part of framed2) {
    if (size + part.length > limit || parts.length === MAX_RECORDS) flush();
    parts.push(part);
    size += part.length;
  }
  flush();
  return messages;
}

// src/fingerprint.ts
function canonical(doc) {
  const { sv, ds } = Y.snapshot(doc);
  const clients = [...sv].filter(([, clock]) => clock > 0).sort(([a], [b]) => a - b);
  const writer = new Writer().varint(clients.length);
  for (const [client, clock] of clients) {
    const ranges = merged(ds.clients.get(client) ?? []);
    writer.varint(client).varint(clock).varint(ranges.length);
    for (const [start, end] of ranges) writer.varint(start).varint(end - start);
  }
  return writer.done();
}
function fingerprint(doc) {
  return digest(canonical(doc)).slice(0, 16);
}
function merged(items) {
  const result = [];
  for (const { clock, len } of [...items].sort((a, b) => a.clock - b.clock)) {
    const last = result[result.length - 1];
    if (last && clock <= last[1]) last[1] = Math.max(last[1], clock + len);
    else result.push([clock, clock + len]);
  }
  return result;
}

// src/octets.ts
function equal(one, other) {
  return one.length === other.length && one.every((byte, place) => byte === other[place]);
}
function compare(one, other) {
  for (let place = 0; place < one.length && place < other.length; place++) {
    if (one[place] !== other[place]) return one[place] - other[place];
  }
  return one.length - other.length;
}
function hex(bytes2) {
  return Array.from(bytes2, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

// src/document.ts
var SAVED_KEY = "saved-fingerprint";
var SELECTED_KEY = "selected";
var StoreDocument = class {
  constructor(name, owner, database, selected) {
    this.name = name;
    this.owner = owner;
    this.database = database;
    this.selected = selected;
    this.doc.on("update", this.onUpdate);
    this.awareness.on("update", this.onAwareness);
    this.loaded = database === null ? Promise.resolve() : this.load(database);
  }
  name;
  owner;
  database;
  doc = new Y2.Doc();
  awareness = new Awareness(this.doc);
  loaded;
  state = "saved";
  refusal = null;
  synchronised = false;
  /** It is here only because of a subscription; its copy may go once it is saved elsewhere. */
  selected;
  /** The app wants to know who is in it, or when it is in sync. */
  followed = false;
  local = null;
  unkept = false;
  confirming = false;
  again = false;
  channel = null;
  print = null;
  // The fingerprint that is kept beside the copy.
  marked = null;
  get fingerprint() {
    return this.print ??= fingerprint(this.doc);
  }
  get empty() {
    return this.doc.store.clients.size === 0;
  }
  /** Nothing but a subscription wants it, and nothing of it is owed to a gateway. */
  get idle() {
    return this.selected && !this.followed && this.state === "saved";
  }
  receive(update) {
    Y2.applyUpdate(this.doc, update, this);
  }
  receiveAwareness(payload) {
    applyAwarenessUpdate(this.awareness, payload, this);
  }
  awarenessToSend() {
    return this.awareness.getLocalState() === null ? null : encodeAwarenessUpdate(this.awareness, [this.doc.clientID]);
  }
  synced() {
    this.synchronised = true;
    this.owner.isSynced(this);
  }
  handedOver() {
    if (this.state !== "saved") this.become("sent");
  }
  saved() {
    this.refusal = null;
    this.become("saved");
    this.settled();
  }
  /** What is in it was on the gateway's disk some time ago: note that, to know it at the next start. */
  settled() {
    const mark = hex(this.fingerprint);
    if (this.state !== "saved" || mark === this.marked) return;
    this.marked = mark;
    this.local?.set(SAVED_KEY, mark).catch(() => {
    });
  }
  refused(code, reason) {
    this.refusal = { document: this.name, code, reason };
    this.changed();
    this.owner.refused(this.refusal);
  }
  /** The link is gone: what was sent and not acked counts as local again. */
  unlinked() {
    this.synchronised = false;
    if (this.state === "sent") this.changed();
    const others = [...this.awareness.getStates().keys()].filter((client) => client !== this.doc.clientID);
    removeAwarenessStates(this.awareness, others, this);
  }
  /** The app asked for it by name: its copy stays. */
  keep() {
    if (!this.selected) return;
    this.selected = false;
    void this.local?.set(SELECTED_KEY, 0);
  }
  /** End it, and give the space on this device back. */
  async evict() {
    await this.close();
    const { database } = this;
    if (database === null) return;
    await new Promise((resolve) => {
      const request = indexedDB.deleteDatabase(database);
      request.onsuccess = request.onerror = request.onblocked = () => resolve();
    });
  }
  async close() {
    removeAwarenessStates(this.awareness, [this.doc.clientID], "closed");
    this.doc.off("update", this.onUpdate);
    this.channel?.close();
    this.awareness.destroy();
    await this.local?.destroy();
    this.doc.destroy();
  }
  async load(database) {
    const local = this.local = new IndexeddbPersistence(database, this.doc);
    this.listenToOtherWindows(database);
    try {
      await local._db;
      await local.whenSynced;
    } catch {
      this.local = null;
      this.unkept = true;
      return;
    }
    if (this.selected) {
      this.selected = await local.get(SELECTED_KEY) !== 0;
    } else if (await local.get(SELECTED_KEY) !== 0) await local.set(SELECTED_KEY, 0);
    this.marked = await local.get(SAVED_KEY);
    if (this.state === "saved" && !this.empty && this.marked !== hex(this.fingerprint)) this.become("local");
  }
  /** Windows of one device agree without any link. */
  listenToOtherWindows(database) {
    if (typeof BroadcastChannel === "undefined") return;
    const channel = this.channel = new BroadcastChannel(database);
    channel.onmessage = ({ data }) => {
      if (data.vector) channel.postMessage({ update: Y2.encodeStateAsUpdate(this.doc, data.vector) });
      if (data.update) Y2.applyUpdate(this.doc, data.update, channel);
    };
    channel.postMessage({ vector: Y2.encodeStateVector(this.doc) });
  }
  onUpdate = (update, origin) => {
    this.print = null;
    this.owner.touched(this, origin === this);
    if (origin === this) return;
    const elsewhere = origin === this.channel && this.channel !== null;
    if (this.channel && !elsewhere && origin !== this.local) this.channel.postMessage({ update });
    if (origin === this.local && this.local !== null) return;
    this.refusal = null;
    this.changed();
    this.owner.update(this, update);
  };
  /** Something here is not on a gateway: 'local' as soon as it will survive a reload. */
  changed() {
    if (!this.local) return this.become(this.unkept ? "writing" : "local");
    this.become("writing");
    this.again = true;
    if (!this.confirming) {
      this.confirming = true;
      void this.confirm(this.local).finally(() => {
        this.confirming = false;
      });
    }
  }
  async confirm(local) {
    await local.whenSynced;
    while (this.again) {
      this.again = false;
      if (!await written(local)) return;
    }
    if (this.state === "writing") this.become("local");
  }
  onAwareness = ({ added, updated, removed }, origin) => {
    if (origin === this) return;
    this.owner.awareness(this.name, encodeAwarenessUpdate(this.awareness, [...added, ...updated, ...removed]));
  };
  become(state) {
    if (state === this.state) return;
    this.state = state;
    this.owner.changed(this);
  }
};
function written({ db }) {
  return new Promise((resolve) => {
    try {
      const transaction = db.transaction(["updates"], "readonly");
      transaction.objectStore("updates").count();
      transaction.oncomplete = () => resolve(true);
      transaction.onabort = () => resolve(false);
    } catch {
      resolve(false);
    }
  });
}

// src/errors.ts
var Unreached = class extends Error {
  name = "Unreached";
};

// src/beacon.ts
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
var NONCE_BYTES = 3;
var TOKEN_BYTES = 8;
var DIGEST_BYTES = 4;
var BEACON_BYTES = TOKEN_BYTES + DIGEST_BYTES + 1;
var TOKEN_LABEL = new TextEncoder().encode("store-gateway/1 token");
var State = { PAIRING: 1, FULL: 2 };
function readBeacon(name) {
  const data = unbase64url(name);
  if (data.length < BEACON_BYTES) return null;
  const digestEnd = TOKEN_BYTES + DIGEST_BYTES;
  return { token: data.slice(0, TOKEN_BYTES), digest: data.slice(TOKEN_BYTES, digestEnd), state: data[digestEnd] };
}
function unbase64url(text) {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
function isOfStore(root, token) {
  const nonce = token.subarray(0, NONCE_BYTES);
  const mark = hmac(sha256, hmac(sha256, root, TOKEN_LABEL), nonce).subarray(0, TOKEN_BYTES - NONCE_BYTES);
  return equal(joined([nonce, mark]), token);
}

// src/entrance.ts
import { ed25519 as ed255192 } from "@noble/curves/ed25519.js";

// src/cbor.ts
var MAX_NESTING = 4;
var utf82 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
var encoder2 = new TextEncoder();
function decode2(data) {
  const reader = new Reader2(data);
  const value = reader.value(0);
  if (reader.position !== data.length) throw new Malformed("bytes after the end of a value");
  return value;
}
var Reader2 = class {
  constructor(data) {
    this.data = data;
  }
  data;
  position = 0;
  value(nesting) {
    const [kind, number2] = this.head();
    switch (kind) {
      case 0:
        return number2;
      case 1:
        return -1 - number2;
      case 2:
        return this.take(number2);
      case 3:
        return this.text(number2);
      case 4:
        return this.values(number2, nesting);
      case 5:
        return this.map(number2, nesting);
    }
    throw new Malformed("a kind of value that is not used here");
  }
  values(count, nesting) {
    this.check(count, nesting);
    const found = [];
    for (let n = 0; n < count; n++) found.push(this.value(nesting + 1));
    return found;
  }
  map(count, nesting) {
    this.check(2 * count, nesting);
    const found = /* @__PURE__ */ new Map();
    let last = new Uint8Array();
    for (let n = 0; n < count; n++) {
      const start = this.position;
      const key = this.value(nesting + 1);
      const encoded = this.data.subarray(start, this.position);
      if (typeof key !== "number") throw new Malformed("a key that is not a number");
      if (compare(encoded, last) <= 0) throw new Malformed("keys out of order, or the same one twice");
      last = encoded;
      found.set(key, this.value(nesting + 1));
    }
    return found;
  }
  head() {
    const first = this.take(1)[0];
    const short = first & 31;
    if (short < 24) return [first >> 5, short];
    if (short > 27) throw new Malformed("an indefinite or reserved length");
    const size = 1 << short - 24;
    const number2 = this.take(size).reduce((sum, byte) => sum * 256 + byte, 0);
    if (number2 < (size === 1 ? 24 : 2 ** (4 * size))) throw new Malformed("a number is not in its shortest form");
    if (number2 > Number.MAX_SAFE_INTEGER) throw new Malformed("a number is too large");
    return [first >> 5, number2];
  }
  take(length) {
    if (length > this.data.length - this.position) throw new Malformed("a value is cut off");
    const start = this.position;
    this.position += length;
    return this.data.subarray(start, this.position);
  }
  text(length) {
    const bytes2 = this.take(length);
    try {
      return utf82.decode(bytes2);
    } catch {
      throw new Malformed("a text is not UTF-8");
    }
  }
  check(values, nesting) {
    if (values > this.data.length - this.position) throw new Malformed("a value is cut off");
    if (nesting === MAX_NESTING) throw new Malformed("values nested too deep");
  }
};
function encodeArray(values) {
  return joined([head(4, values.length), ...values.map(encodeOne)]);
}
function encodeMap(values) {
  return joined([head(5, values.length), ...values.flatMap((value, key) => [head(0, key), encodeOne(value)])]);
}
function encodeOne(value) {
  if (typeof value === "number") return head(0, value);
  const bytes2 = typeof value === "string" ? encoder2.encode(value) : value;
  return joined([head(typeof value === "string" ? 3 : 2, bytes2.length), bytes2]);
}
function head(kind, number2) {
  if (number2 < 24) return Uint8Array.of(kind << 5 | number2);
  if (number2 < 256) return Uint8Array.of(kind << 5 | 24, number2);
  return Uint8Array.of(kind << 5 | 25, number2 >> 8, number2 & 255);
}

// src/certificate.ts
import { sha256 as sha2562 } from "@noble/hashes/sha2.js";

// src/signed.ts
import { ed25519 } from "@noble/curves/ed25519.js";
var Untrusted = class extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
  code;
};
var UNAUTHORISED = 4401;
var REVOKED = 4410;
var OTHER_STORE = 4421;
var VERSION = 4426;
var FORM_VERSION = 1;
var ID_BYTES = 16;
var SERIAL_BYTES = 8;
var KEY_BYTES = 32;
var MAX_EPOCH = 2 ** 32 - 1;
var SIGNATURE_BYTES = 64;
var MAX_BYTES = 3072;
var MAX_PAIR_BYTES = 3584;
var PROTECTED = Uint8Array.of(161, 1, 39);
var encoder3 = new TextEncoder();
var Signed = class {
  constructor(payload, signature, context, keys) {
    this.payload = payload;
    this.signature = signature;
    this.context = context;
    this.claims = new Claims(decode2(payload), keys);
  }
  payload;
  signature;
  context;
  claims;
  /** Whether this key signed the claims in the context they were read for. */
  by(key) {
    const message = encodeArray(["Signature1", PROTECTED, encoder3.encode(this.context), this.payload]);
    try {
      return ed25519.verify(this.signature, message, key, { zip215: false });
    } catch {
      return false;
    }
  }
};
function readSigned(data, context, keys) {
  if (data.length > MAX_BYTES) throw new Malformed(`more than ${MAX_BYTES} signed bytes`);
  const parts = decode2(data);
  if (Array.isArray(parts) && parts.length === 4) {
    const [header, unprotected, payload, signature] = parts;
    if (header instanceof Uint8Array && equal(header, PROTECTED) && unprotected instanceof Map && unprotected.size === 0 && payload instanceof Uint8Array && signature instanceof Uint8Array && signature.length === SIGNATURE_BYTES) {
      return new Signed(payload, signature, context, keys);
    }
  }
  throw new Malformed("not a COSE_Sign1 with EdDSA and nothing else");
}
function readPair(data) {
  if (data.length > MAX_PAIR_BYTES) throw new Malformed(`a credential of more than ${MAX_PAIR_BYTES} bytes`);
  const parts = decode2(data);
  if (Array.isArray(parts) && parts.length === 2) {
    const [signed, certificate] = parts;
    if (signed instanceof Uint8Array && certificate instanceof Uint8Array) return [signed, certificate];
  }
  throw new Malformed("not a pair of byte strings");
}
var Claims = class {
  values;
  constructor(value, keys) {
    if (!(value instanceof Map) || typeof value.get(0) !== "number") throw new Malformed("claims are a map with a version");
    if (value.get(0) !== FORM_VERSION) {
      throw new Untrusted(VERSION, "made by another version of the Store Gateway: update this device and the gateway");
    }
    const known = [...value.keys()].every((key) => key >= 0 && key <= keys);
    if (value.size !== keys + 1 || !known) throw new Malformed("a claim is missing, or not known");
    this.values = value;
  }
  octets(key, ...lengths) {
    const value = this.values.get(key);
    if (!(value instanceof Uint8Array) || !lengths.includes(value.length)) throw new Malformed("a claim has the wrong length");
    return value;
  }
  number(key, most) {
    const value = this.values.get(key);
    if (typeof value !== "number" || value < 0 || value > most) throw new Malformed("a claim is not a number, or out of range");
    return value;
  }
};

// src/certificate.ts
var CONTEXT = "store-gateway certificate";
var CLAIMS = 6;
var encoder4 = new TextEncoder();
function storeId(root) {
  return labelled("store-gateway store", root).slice(0, ID_BYTES);
}
function readCertificate(data, root) {
  const signed = readSigned(data, CONTEXT, CLAIMS);
  const { claims } = signed;
  const certificate = {
    store: claims.octets(1, ID_BYTES),
    peer: claims.octets(2, ID_BYTES),
    signing_key: claims.octets(3, KEY_BYTES),
    noise_key: claims.octets(4, KEY_BYTES),
    serial: claims.octets(5, SERIAL_BYTES),
    epoch: claims.number(6, MAX_EPOCH)
  };
  checkStore(certificate.store, storeId(root));
  if (!signed.by(root)) throw new Untrusted(UNAUTHORISED, "the certificate is not of this store: pair again");
  return certificate;
}
function verifyCertificate(data, root, noiseKey) {
  const certificate = readCertificate(data, root);
  if (!equal(certificate.noise_key, noiseKey)) throw new Untrusted(UNAUTHORISED, "the certificate belongs to another gateway");
  return certificate;
}
function checkStore(named, ours) {
  if (!equal(named, ours)) {
    throw new Untrusted(OTHER_STORE, "this is another store's gateway: choose that store, or pair with this one");
  }
}
function labelled(label, bytes2) {
  return sha2562(joined([encoder4.encode(label), bytes2]));
}

// src/noise.ts
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { hmac as hmac2 } from "@noble/hashes/hmac.js";
import { sha256 as sha2563 } from "@noble/hashes/sha2.js";
var KEY_BYTES2 = 32;
var TAG_BYTES = 16;
var MAX_NOISE_BYTES = 65535;
var PIECE_BYTES = MAX_NOISE_BYTES - TAG_BYTES;
var MAX_NONCE = 2n ** 64n - 1n;
var PROLOGUE = "store-gateway/1";
var NOTHING = new Uint8Array();
var ascii = (text) => new TextEncoder().encode(text);
var TOO_BIG = 1009;
var RESET = 4205;
var MALFORMED = 4400;
var UNAUTHORISED2 = 4401;
var NoiseError = class extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
  code;
};
var SHAPES = {
  [0 /* IK */]: { name: "IK", known: true, messages: [["e", "es", "s", "ss"], ["e", "ee", "se"]] },
  [1 /* IKpsk2 */]: { name: "IKpsk2", known: true, messages: [["e", "es", "s", "ss"], ["e", "ee", "se", "psk"]] },
  [2 /* XXpsk0 */]: { name: "XXpsk0", known: false, messages: [["psk", "e"], ["e", "ee", "s", "es"], ["s", "se"]] },
  [3 /* XX */]: { name: "XX", known: false, messages: [["e"], ["e", "ee", "s", "es"], ["s", "se"]] }
};
var prologueOf = (pattern) => joined([ascii(PROLOGUE), Uint8Array.of(pattern)]);
var KeyPair = class {
  /** `secret` are 32 random bytes. */
  constructor(secret) {
    this.secret = secret;
    this.public = x25519.getPublicKey(secret);
  }
  secret;
  public;
  exchange(other) {
    try {
      return x25519.getSharedSecret(this.secret, other);
    } catch {
      throw new NoiseError(MALFORMED, "a public key of low order");
    }
  }
};
var CipherState = class {
  constructor(key) {
    this.key = key;
  }
  key;
  next = 0n;
  encrypt(data, plaintext) {
    return chacha20poly1305(this.key, this.nonce(), data).encrypt(plaintext);
  }
  decrypt(data, ciphertext) {
    const nonce = this.nonce();
    try {
      return chacha20poly1305(this.key, nonce, data).decrypt(ciphertext);
    } catch {
      throw new NoiseError(UNAUTHORISED2, "a message that is not authentic");
    }
  }
  nonce() {
    if (this.next === MAX_NONCE) throw new NoiseError(RESET, "this link has carried all it can; connect anew");
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setBigUint64(4, this.next++, true);
    return nonce;
  }
};
var SymmetricState = class {
  hash;
  chain;
  cipher = null;
  constructor(protocol) {
    this.hash = protocol.length > 32 ? sha2563(protocol) : joined([protocol, new Uint8Array(32 - protocol.length)]);
    this.chain = this.hash;
  }
  get hasKey() {
    return this.cipher !== null;
  }
  mixHash(data) {
    this.hash = sha2563(joined([this.hash, data]));
  }
  mixKey(secret) {
    const [chain, key] = hkdf(this.chain, secret, 2);
    this.chain = chain;
    this.cipher = new CipherState(key);
  }
  mixKeyAndHash(secret) {
    const [chain, seed, key] = hkdf(this.chain, secret, 3);
    this.chain = chain;
    this.mixHash(seed);
    this.cipher = new CipherState(key);
  }
  encryptAndHash(plaintext) {
    const data = this.cipher ? this.cipher.encrypt(this.hash, plaintext) : plaintext;
    this.mixHash(data);
    return data;
  }
  decryptAndHash(data) {
    const plaintext = this.cipher ? this.cipher.decrypt(this.hash, data) : data;
    this.mixHash(data);
    return plaintext;
  }
  split() {
    return hkdf(this.chain, NOTHING, 2).map((key) => new CipherState(key));
  }
};
var Handshake = class {
  constructor(pattern, initiator, secrets, prologue) {
    this.initiator = initiator;
    this.secrets = secrets;
    this.shape = SHAPES[pattern];
    this.check("a remote static key", secrets.remoteStatic, this.shape.known && initiator);
    this.check("a pre-shared key", secrets.psk, this.hasPsk);
    this.ours = { e: secrets.ephemeral, s: secrets.static };
    this.symmetric = new SymmetricState(ascii(`Noise_${this.shape.name}_25519_ChaChaPoly_SHA256`));
    this.symmetric.mixHash(prologue);
    if (this.shape.known) {
      this.theirs.s = secrets.remoteStatic;
      this.symmetric.mixHash(secrets.remoteStatic ?? secrets.static.public);
    }
    this.state = this.turn();
  }
  initiator;
  secrets;
  shape;
  symmetric;
  ours;
  theirs = {};
  past = 0;
  state;
  /** All messages were written and read; `split` is next. */
  get done() {
    return this.state === "done";
  }
  /** `write` is next. */
  get isWriting() {
    return this.state === "writing";
  }
  /** The peer's static key as soon as it is known; proven once done. */
  get remoteStatic() {
    return this.theirs.s;
  }
  /** The same on both sides once done, and in no other handshake. */
  get handshakeHash() {
    return this.symmetric.hash;
  }
  write(payload = NOTHING) {
    this.begin("writing");
    const parts = this.tokens().map((token) => this.writeToken(token));
    const message = joined([...parts, this.symmetric.encryptAndHash(payload)]);
    if (message.length > MAX_NOISE_BYTES) throw new Error(`a payload of ${payload.length} bytes is too long`);
    this.finish();
    return message;
  }
  /** The payload of the peer's message. Throws `NoiseError`. */
  read(message) {
    this.begin("reading");
    if (message.length > MAX_NOISE_BYTES) throw new NoiseError(TOO_BIG, "a handshake message that is too long");
    const rest = this.tokens().reduce((left, token) => this.readToken(token, left), message);
    if (this.symmetric.hasKey) cut(rest, TAG_BYTES);
    const payload = this.symmetric.decryptAndHash(rest);
    this.finish();
    return payload;
  }
  /** What protects the link from now on; the handshake is over. */
  split() {
    this.begin("done");
    const [first, second] = this.symmetric.split();
    return this.initiator ? new Transport(first, second) : new Transport(second, first);
  }
  get hasPsk() {
    return this.shape.messages.flat().includes("psk");
  }
  tokens() {
    return this.shape.messages[this.past];
  }
  check(name, value, needed) {
    if (needed ? value?.length !== KEY_BYTES2 : value) throw new Error(`${this.shape.name}: ${name} of ${KEY_BYTES2} bytes, or none`);
  }
  begin(state) {
    const now = this.state;
    this.state = "over";
    if (now !== state) throw new Error(`a handshake that is ${now} cannot be ${state}`);
  }
  finish() {
    this.past++;
    this.state = this.turn();
  }
  turn() {
    if (this.past === this.shape.messages.length) return "done";
    return this.initiator === (this.past % 2 === 0) ? "writing" : "reading";
  }
  writeToken(token) {
    if (token === "e") return this.takeEphemeral(this.ours.e.public);
    if (token === "s") return this.symmetric.encryptAndHash(this.ours.s.public);
    this.mix(token);
    return NOTHING;
  }
  /** Take a token off the front of a message. */
  readToken(token, message) {
    if (token === "e" || token === "s") {
      const [key, rest] = cut(message, token === "e" ? KEY_BYTES2 : KEY_BYTES2 + TAG_BYTES);
      this.theirs[token] = token === "e" ? this.takeEphemeral(key) : this.symmetric.decryptAndHash(key);
      return rest;
    }
    this.mix(token);
    return message;
  }
  takeEphemeral(key) {
    this.symmetric.mixHash(key);
    if (this.hasPsk) this.symmetric.mixKey(key);
    return key;
  }
  mix(token) {
    if (token === "psk") return this.symmetric.mixKeyAndHash(this.secrets.psk);
    const [one, other] = token;
    const [ours, theirs] = this.initiator ? [one, other] : [other, one];
    this.symmetric.mixKey(this.ours[ours].exchange(this.theirs[theirs]));
  }
};
var Transport = class {
  constructor(sending, receiving) {
    this.sending = sending;
    this.receiving = receiving;
  }
  sending;
  receiving;
  over = false;
  /** The link message of a batch, which is not empty. */
  seal(batch) {
    if (!batch.length) throw new Error("a batch holds a record");
    this.begin();
    return this.end(pieces(batch, PIECE_BYTES).map((piece) => this.sending.encrypt(NOTHING, piece)));
  }
  /** The batch of a link message. Throws `NoiseError`. */
  open(message) {
    this.begin();
    const last = message.length % MAX_NOISE_BYTES;
    if (!message.length || last > 0 && last <= TAG_BYTES) throw new NoiseError(MALFORMED, "a message that is cut off");
    return this.end(pieces(message, MAX_NOISE_BYTES).map((piece) => this.receiving.decrypt(NOTHING, piece)));
  }
  begin() {
    if (this.over) throw new Error("this link is over");
    this.over = true;
  }
  end(parts) {
    this.over = false;
    return joined(parts);
  }
};
function pieces(data, size) {
  return Array.from({ length: Math.ceil(data.length / size) }, (_, index) => data.subarray(index * size, (index + 1) * size));
}
function hkdf(chain, secret, count) {
  const extracted = hmac2(sha2563, chain, secret);
  const outputs = [];
  for (let number2 = 1; number2 <= count; number2++) {
    outputs.push(hmac2(sha2563, extracted, joined([outputs[number2 - 2] ?? NOTHING, Uint8Array.of(number2)])));
  }
  return outputs;
}
function cut(message, size) {
  if (message.length < size) throw new NoiseError(MALFORMED, "a handshake message that is cut off");
  return [message.slice(0, size), message.subarray(size)];
}

// src/channel.ts
var MALFORMED2 = 4400;
var UNAUTHORISED3 = 4401;
var Channel = class {
  constructor(pattern, secrets) {
    this.pattern = pattern;
    this.handshake = new Handshake(pattern, true, secrets, prologueOf(pattern));
  }
  pattern;
  handshake;
  transport = null;
  /** The handshake is complete: everything is sealed from now on. */
  get sealed() {
    return this.transport !== null;
  }
  /** The static key that the peer proved; only once sealed. */
  get remoteStatic() {
    if (!this.transport) throw new Error("nothing is proven before the handshake is complete");
    return this.handshake.remoteStatic;
  }
  /** The first handshake message. */
  call() {
    return this.write();
  }
  /** Take all records of the peer's next link message before `sealed`; what to answer, if anything. */
  step(records) {
    const [record] = records;
    if (record?.type !== "NOISE") throw new NoiseError(UNAUTHORISED3, "the other side does not speak sealed");
    if (records.length > 1) throw new NoiseError(MALFORMED2, "a handshake message comes alone");
    if (record.pattern !== this.pattern) throw new NoiseError(MALFORMED2, "a handshake that changes its pattern");
    this.handshake.read(record.message);
    const answer2 = this.handshake.done ? null : this.write();
    this.transport = this.handshake.split();
    return answer2;
  }
  /** The link message of a batch; only once sealed. */
  seal(batch) {
    return this.transport.seal(batch);
  }
  /** The batch of a link message; only once sealed. Throws `NoiseError`. */
  open(message) {
    return this.transport.open(message);
  }
  write() {
    return { type: "NOISE", pattern: this.pattern, message: this.handshake.write() };
  }
};

// src/revocations.ts
import { sha256 as sha2564 } from "@noble/hashes/sha2.js";
var MAX_ENTRIES = 1024;
var DIGEST_BYTES2 = 16;
var CONTEXT2 = "store-gateway revocation";
var CLAIMS2 = 5;
var CERTIFICATE = 2;
var PEER = 3;
var SUBJECT_BYTES = { 1: ID_BYTES, [CERTIFICATE]: SERIAL_BYTES, [PEER]: ID_BYTES };
var Revocations = class {
  constructor(root) {
    this.root = root;
  }
  root;
  // By kind and subject, as text that sorts as these do.
  kept = /* @__PURE__ */ new Map();
  // What comes again costs no signature.
  known = /* @__PURE__ */ new Set();
  /** Whether the entry was new, and is to be kept and passed on. Throws `Malformed` or `Untrusted` if it is not of this store. */
  add(entry) {
    const text = hex(entry);
    if (this.known.has(text)) return false;
    const [key, offered] = read(entry, this.root);
    const before = this.kept.get(key);
    if (before && (offered.epoch - before.epoch || compare(entry, before.entry)) <= 0) return false;
    if (before?.issuer !== offered.issuer && this.countOf(offered.issuer) >= MAX_ENTRIES) return false;
    if (before) this.known.delete(hex(before.entry));
    this.kept.set(key, offered);
    this.known.add(text);
    return true;
  }
  /** Whether a gateway's certificate, or the gateway, was shut out. */
  includes(certificate) {
    const ofPeer = this.kept.get(keyOf(PEER, certificate.peer));
    return this.kept.has(keyOf(CERTIFICATE, certificate.serial)) || certificate.epoch < (ofPeer?.epoch ?? 0);
  }
  /** All that are kept, in an order that depends only on what they are. */
  entries() {
    return [...this.kept].sort(([one], [other]) => one < other ? -1 : 1).map(([, { entry }]) => entry);
  }
  /** The same 16 bytes for the same entries, and for no others. */
  digest() {
    return sha2564(joined(this.entries().map((entry) => sha2564(entry)))).slice(0, DIGEST_BYTES2);
  }
  countOf(issuer) {
    let count = 0;
    for (const kept of this.kept.values()) if (kept.issuer === issuer) count++;
    return count;
  }
};
function read(entry, root) {
  const [data, certificate] = readPair(entry);
  const signer = certificate.length ? readCertificate(certificate, root) : { signing_key: root, serial: new Uint8Array() };
  const signed = readSigned(data, CONTEXT2, CLAIMS2);
  const { claims } = signed;
  const kind = claims.number(2, PEER);
  if (!(kind in SUBJECT_BYTES)) throw new Malformed("a kind of subject that is not known");
  const subject = claims.octets(3, SUBJECT_BYTES[kind]);
  const epoch = claims.number(4, MAX_EPOCH);
  const issuer = claims.octets(5, 0, SERIAL_BYTES);
  checkStore(claims.octets(1, ID_BYTES), storeId(root));
  if (!equal(issuer, signer.serial) || !signed.by(signer.signing_key)) {
    throw new Untrusted(UNAUTHORISED, "the revocation was not signed by this store");
  }
  return [keyOf(kind, subject), { epoch, entry: entry.slice(), issuer: hex(issuer) }];
}
function keyOf(kind, subject) {
  return `${kind}${hex(subject)}`;
}

// src/ticket.ts
var CONTEXT3 = "store-gateway ticket";
var CLAIMS3 = 8;
function verifyTicket(credential, root, noiseKey) {
  const [data, certificate] = readPair(credential);
  const issuer = readCertificate(certificate, root);
  const signed = readSigned(data, CONTEXT3, CLAIMS3);
  const { claims } = signed;
  checkStore(claims.octets(1, ID_BYTES), issuer.store);
  if (!equal(claims.octets(8, SERIAL_BYTES), issuer.serial) || !signed.by(issuer.signing_key)) {
    throw new Untrusted(UNAUTHORISED, "the ticket was not signed by this store: pair again");
  }
  if (!equal(claims.octets(2, KEY_BYTES), noiseKey)) {
    throw new Untrusted(UNAUTHORISED, "the ticket belongs to another device: pair this one");
  }
  return { peer: claims.octets(3, ID_BYTES), issuer };
}

// src/entrance.ts
var AUTH_TICKET = 1;
var AUTH_PAIR = 3;
var AUTH_CERTIFICATE = 4;
var FORM_VERSION2 = 1;
var MAX_NAME_BYTES = 64;
var ROLE = "device";
var encoder5 = new TextEncoder();
var Keys = class {
  constructor(noise, signing) {
    this.signing = signing;
    this.noise = new KeyPair(noise);
  }
  signing;
  noise;
  get signingPublic() {
    return ed255192.getPublicKey(this.signing);
  }
};
var Calling = class {
  constructor(caller, ephemeral) {
    this.caller = caller;
    const { keys, pairing, gateway } = caller;
    this.membership = caller.membership;
    const remoteStatic = pairing ? pairing.static : gateway;
    const patterns = pairing ? [2 /* XXpsk0 */, 1 /* IKpsk2 */] : [3 /* XX */, 0 /* IK */];
    this.channel = new Channel(patterns[remoteStatic ? 1 : 0], { static: keys.noise, ephemeral, remoteStatic, psk: pairing?.psk });
  }
  caller;
  channel;
  membership;
  /** Who answered, once it proved that it is a gateway of our store. */
  met = null;
  /** What we show to be let in. */
  auth() {
    if (this.caller.pairing) return { type: "AUTH", method: AUTH_PAIR, credential: this.request() };
    return { type: "AUTH", method: AUTH_TICKET, credential: this.membership.credential };
  }
  /** What we are from now on. */
  take({ credential, root }) {
    const { pairing, peer, keys, membership } = this.caller;
    if (!pairing) throw new Malformed("TICKET does not belong here");
    checkStore(storeId(root), pairing.store ?? storeId(root));
    const ticket = verifyTicket(credential, root, keys.noise.public);
    if (!equal(ticket.peer, peer)) throw new Untrusted(UNAUTHORISED, "the ticket belongs to another device: pair this one");
    if (!equal(ticket.issuer.noise_key, this.channel.remoteStatic)) {
      throw new Untrusted(UNAUTHORISED, "the ticket was issued by another gateway");
    }
    const revocations = membership && equal(membership.root, root) ? membership.revocations : new Revocations(root);
    return this.membership = { root: root.slice(), credential: credential.slice(), revocations };
  }
  /** Who answered: only a gateway of our store that was not shut out will do. */
  meet({ method, credential }, peer) {
    if (!this.membership) throw new Malformed("MEMBER before TICKET");
    if (method !== AUTH_CERTIFICATE) throw new Untrusted(UNAUTHORISED, "what answered is not a gateway");
    const certificate = verifyCertificate(credential, this.membership.root, this.channel.remoteStatic);
    if (!equal(certificate.peer, peer)) throw new Untrusted(UNAUTHORISED, "the certificate belongs to another gateway");
    this.met = certificate;
    this.check();
  }
  /** Throws `Untrusted` if who answered is shut out by now. */
  check() {
    if (this.met && this.membership.revocations.includes(this.met)) {
      throw new Untrusted(REVOKED, "this gateway was shut out of the store: go to another one");
    }
  }
  request() {
    return encodeMap([FORM_VERSION2, shortName(this.caller.name), ROLE, this.caller.keys.signingPublic]);
  }
};
function shortName(name) {
  let short = "";
  for (const letter of name.replace(/[\p{C}\p{Z}]+/gu, " ").trim()) {
    if (encoder5.encode(short + letter).length > MAX_NAME_BYTES) break;
    short += letter;
  }
  return short || ROLE;
}

// src/shelf.ts
var STORE = "values";
var Shelf = class _Shelf {
  constructor(database) {
    this.database = database;
    if (database) database.onversionchange = () => database.close();
  }
  database;
  memory = /* @__PURE__ */ new Map();
  static open(name) {
    return new Promise((resolve) => {
      const unkept = () => resolve(new _Shelf(null));
      if (typeof indexedDB === "undefined") return unkept();
      try {
        const request = indexedDB.open(name, 1);
        request.onupgradeneeded = () => void request.result.createObjectStore(STORE);
        request.onsuccess = () => resolve(new _Shelf(request.result));
        request.onerror = unkept;
      } catch {
        unkept();
      }
    });
  }
  get(key) {
    return this.ask("readonly", key, (store, done) => {
      const reading = store.get(key);
      reading.onsuccess = () => done(reading.result);
    });
  }
  async put(key, value) {
    this.memory.set(key, value);
    await this.ask("readwrite", key, (store) => void store.put(value, key));
  }
  /** The value, which is `fresh` where there is none yet: windows that ask at the same time get the same. */
  async getOrPut(key, fresh) {
    if (!this.memory.has(key)) this.memory.set(key, fresh);
    const value = await this.ask("readwrite", key, (store, done) => {
      const reading = store.get(key);
      reading.onsuccess = () => {
        done(reading.result ?? fresh);
        if (reading.result === void 0) store.put(fresh, key);
      };
    });
    this.memory.set(key, value);
    return value;
  }
  close() {
    this.database?.close();
  }
  ask(mode, key, act) {
    return new Promise((resolve) => {
      let found;
      const failed = () => resolve(this.memory.get(key));
      if (!this.database) return failed();
      try {
        const transaction = this.database.transaction([STORE], mode);
        transaction.oncomplete = () => resolve(found);
        transaction.onabort = failed;
        act(transaction.objectStore(STORE), (value) => {
          found = value;
        });
      } catch {
        failed();
      }
    });
  }
};

// src/identity.ts
var DATABASE = "store-gateway-identity";
var PEER_KEY = "store-gateway-peer";
var PEER_BYTES = 16;
var SECRET_BYTES = 32;
var Identity = class _Identity {
  constructor(shelf, peer, keys, gateways) {
    this.shelf = shelf;
    this.peer = peer;
    this.keys = keys;
    this.gateways = gateways;
    if (this.channel) this.channel.onmessage = () => void this.reload();
  }
  shelf;
  peer;
  keys;
  gateways;
  membership = null;
  /** Another window was paired. */
  onGained = () => {
  };
  channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(DATABASE);
  static async load() {
    const shelf = await Shelf.open(DATABASE);
    const fresh = { peer: peerId(), noise: random(SECRET_BYTES), signing: random(SECRET_BYTES) };
    const { peer, noise, signing } = await shelf.getOrPut("device", fresh);
    const gateways = await shelf.get("gateways") ?? /* @__PURE__ */ new Map();
    const identity = new _Identity(shelf, peer, new Keys(noise, signing), gateways);
    await identity.read();
    return identity;
  }
  /** The static key of the gateway of our store that was met at an address, or by Bluetooth (`bluetoothKey`). */
  gateway(url) {
    return this.gateways.get(url);
  }
  meet(url, key) {
    const known = this.gateways.get(url);
    if (known && equal(known, key)) return;
    this.gateways.set(url, key.slice());
    void this.shelf.put("gateways", this.gateways);
  }
  /** Whether there was a key to forget. */
  forget(url) {
    const known = this.gateways.delete(url);
    if (known) void this.shelf.put("gateways", this.gateways);
    return known;
  }
  /** Be of a store from now on; resolves when that is kept. */
  async gain(membership) {
    const before = this.membership;
    this.membership = membership;
    if (before && !equal(before.root, membership.root)) {
      this.gateways = /* @__PURE__ */ new Map();
      await this.shelf.put("gateways", this.gateways);
    }
    await this.keepRevocations();
    await this.shelf.put("membership", { root: membership.root, credential: membership.credential });
    localStore()?.removeItem(PEER_KEY);
    this.channel?.postMessage("gained");
  }
  /** Keep the entries that were heard of. */
  async keepRevocations() {
    await this.shelf.put("revocations", this.membership.revocations.entries());
  }
  close() {
    this.channel?.close();
    this.shelf.close();
  }
  async reload() {
    const before = this.membership;
    await this.read();
    if (this.membership !== before) this.onGained();
  }
  async read() {
    const kept = await this.shelf.get("membership");
    if (!kept) return;
    const { membership } = this;
    if (membership && equal(membership.root, kept.root) && equal(membership.credential, kept.credential)) return;
    const revocations = new Revocations(kept.root);
    for (const entry of await this.shelf.get("revocations") ?? []) {
      try {
        revocations.add(entry);
      } catch {
      }
    }
    this.membership = { ...kept, revocations };
  }
};
function bluetoothKey(peer) {
  return `bluetooth:${hex(peer)}`;
}
function random(count) {
  return crypto.getRandomValues(new Uint8Array(count));
}
function localStore() {
  return globalThis.localStorage;
}
function peerId() {
  const storage2 = localStore();
  const known = storage2?.getItem(PEER_KEY);
  if (known && /^[0-9a-f]{32}$/.test(known)) return Uint8Array.from(known.match(/../g), (byte) => parseInt(byte, 16));
  const fresh = random(PEER_BYTES);
  storage2?.setItem(PEER_KEY, hex(fresh));
  return fresh;
}

// src/opening.ts
var uuid = (number2) => `9412d8${number2.toString(16)}-8fbe-4a58-90d7-c5fd0d0b6838`;
var SERVICE = uuid(200);
var INFO = uuid(201);
var RX = uuid(202);
var TX = Array.from({ length: 8 }, (_, place) => uuid(209 + place));
var NONCE_BYTES2 = 4;
var VERSION2 = 1;
var INFO_BYTES = 22;
var PEER_END = 18;
var ANSWER_BYTES = 8;
var OPENER = 128;
var REFUSAL = 0;
var OpeningError = class extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
  code;
};
function readInfo(value) {
  if (value.length < INFO_BYTES) throw new OpeningError(4400, "what the gateway says by Bluetooth is too short");
  if (value[0] > VERSION2 || value[1] < VERSION2) throw new OpeningError(4426, `the gateway speaks Bluetooth version ${value[0]}, this app ${VERSION2}`);
  return { peer: value.slice(2, PEER_END), psm: number(value, PEER_END), place: value[21] <= TX.length ? value[21] : 0 };
}
function opener(nonce, takes) {
  return Uint8Array.of(OPENER, VERSION2, ...nonce, takes & 255, takes >> 8);
}
function readAnswer(value) {
  if (value.length !== ANSWER_BYTES || value[0] !== OPENER && value[0] !== REFUSAL) return null;
  return { nonce: value.slice(2, 6), number: number(value, 6), refused: value[0] === REFUSAL };
}
function number(value, place) {
  return value[place] | value[place + 1] << 8;
}

// src/segments.ts
var MIN_SEGMENT_BYTES = 20;
var MAX_SEGMENT_BYTES = 512;
var SEALED_BYTES = 262224;
var PATIENCE_MS = 15e3;
var WINDOW = 16;
var GRANT = WINDOW / 2;
var CONGESTED_BYTES = 4096;
var SEQUENCE = 31;
var START = 32;
var CREDITS = 64;
var MOVED = 128;
var NOTHING2 = new Uint8Array();
var SegmentError = class extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
  code;
};
var Segments = class {
  /** `segmentBytes`: what one write carries. `limitBytes`: the largest message that is taken. */
  constructor(segmentBytes, limitBytes = SEALED_BYTES) {
    this.segmentBytes = segmentBytes;
    this.limitBytes = limitBytes;
    if (!(segmentBytes >= MIN_SEGMENT_BYTES && segmentBytes <= MAX_SEGMENT_BYTES)) throw new RangeError("a segment has 20 to 512 bytes");
  }
  segmentBytes;
  limitBytes;
  /** Give no credits, as what was taken is too much already. */
  holding = false;
  /** Whether MOVED was written, and received. */
  movedOut = false;
  movedIn = false;
  moving = false;
  movedAt = 0;
  sending = [];
  offset = 0;
  waiting = 0;
  sent = 0;
  received = 0;
  ours = WINDOW;
  theirs = WINDOW;
  owed = 0;
  message = NOTHING2;
  filled = 0;
  stalledSince = null;
  heard = 0;
  /** So much waits that the session should hold back: what comes next may be more urgent. */
  get congested() {
    return this.waiting > CONGESTED_BYTES;
  }
  /** Send a message of 1 to 262,224 bytes after those before it; not once it moved. */
  send(message) {
    if (message.length === 0 || message.length > SEALED_BYTES) throw new RangeError("a message has 1 to 262,224 bytes");
    if (this.moving) throw new Error("this link moved");
    this.sending.push(message);
    this.waiting += message.length;
  }
  /** Write MOVED and nothing after it. The messages that did not go whole: they go by the other way, before all others. */
  move() {
    if (this.moving) throw new Error("this link moved");
    const rest = this.sending;
    this.sending = [];
    this.waiting = 0;
    this.stalledSince = null;
    this.moving = true;
    return rest;
  }
  /** The next write, if there is one and the peer has room for it; `now` in milliseconds. */
  next(now) {
    if (this.moving) return this.moveOut(now);
    const hasData = this.sending.length > 0 && this.ours > 0;
    if (this.sending.length > 0 && !hasData) this.stalledSince ??= now;
    const owed = this.holding ? 0 : this.owed;
    if (!hasData && owed < GRANT) return null;
    const starts = hasData && this.offset === 0;
    const head2 = new Writer().raw(Uint8Array.of(this.nextSequence() | (owed ? CREDITS : 0) | (starts ? START : 0)));
    if (owed) head2.raw(Uint8Array.of(owed));
    this.theirs += owed;
    this.owed -= owed;
    if (starts) head2.varint(this.sending[0].length);
    const start = head2.done();
    return hasData ? new Writer().raw(start).raw(this.data(this.segmentBytes - start.length)).done() : start;
  }
  /** Take what the peer wrote; a message that is whole now. */
  receive(segment, now) {
    try {
      return this.take(new Reader(segment), now);
    } catch (error) {
      if (error instanceof Malformed) throw new SegmentError(4400, error.message);
      throw error;
    }
  }
  /** Throws when a message goes no further, in either direction. */
  check(now) {
    const since = [this.filled < this.message.length ? this.heard : now, this.stalledSince ?? now];
    if (this.movedIn !== this.movedOut) since.push(this.movedAt);
    if (now - Math.min(...since) >= PATIENCE_MS) throw new SegmentError(4408, "a message that goes no further");
  }
  nextSequence() {
    const sequence = this.sent;
    this.sent = this.sent + 1 & SEQUENCE;
    return sequence;
  }
  moveOut(now) {
    if (this.movedOut) return null;
    this.movedOut = true;
    this.movedAt = now;
    return Uint8Array.of(MOVED | (this.offset ? START : 0) | this.nextSequence());
  }
  data(room) {
    const message = this.sending[0];
    const data = message.subarray(this.offset, this.offset + room);
    this.offset += data.length;
    this.waiting -= data.length;
    this.ours -= 1;
    if (this.offset === message.length) {
      this.sending.shift();
      this.offset = 0;
    }
    return data;
  }
  take(segment, now) {
    const [header] = segment.take(1);
    const isMoved = (header & (MOVED | CREDITS)) === MOVED && segment.left === 0;
    if (this.movedIn || header & MOVED && !isMoved) throw new Malformed("this is no segment");
    if ((header & SEQUENCE) !== this.received) throw new Malformed("a segment is missing, doubled or out of order");
    this.received = this.received + 1 & SEQUENCE;
    this.heard = now;
    if (isMoved) return this.moveIn((header & START) !== 0, now);
    if (header & CREDITS) this.credited(segment.take(1)[0]);
    if (header & START) this.begin(segment.varint());
    if (segment.left > 0) return this.add(segment.rest());
    if (header & START || !(header & CREDITS)) throw new Malformed("a segment without anything in it");
    return null;
  }
  moveIn(again, now) {
    if (again !== this.filled < this.message.length) throw new Malformed("a message that was not whole when the peer moved");
    this.message = NOTHING2;
    this.filled = 0;
    this.movedIn = true;
    this.movedAt = now;
    return null;
  }
  credited(granted2) {
    this.ours += granted2;
    if (granted2 === 0 || this.ours > WINDOW) throw new Malformed("credits for what was not sent");
    this.stalledSince = null;
  }
  begin(length) {
    if (this.filled < this.message.length) throw new Malformed("a message begins inside another");
    if (length > this.limitBytes) throw new SegmentError(1009, "a message is too large");
    this.message = new Uint8Array(length);
    this.filled = 0;
  }
  add(data) {
    if (this.theirs === 0) throw new Malformed("a segment without a credit");
    if (data.length > this.message.length - this.filled) throw new Malformed("more than the message was to hold");
    this.theirs -= 1;
    this.owed += 1;
    this.message.set(data, this.filled);
    this.filled += data.length;
    if (this.filled < this.message.length) return null;
    const whole = this.message;
    this.message = NOTHING2;
    this.filled = 0;
    return whole;
  }
};

// src/stream.ts
var LENGTH_BYTES = 3;
function framed(message) {
  return joined([new Writer().varint(message.length).done(), message]);
}
var MessageStream = class {
  parts = [];
  held = 0;
  length = null;
  heard = 0;
  push(data, now) {
    this.parts.push(data);
    this.held += data.length;
    this.heard = now;
  }
  /** The next message that is whole. */
  next() {
    this.length ??= this.readLength();
    if (this.length === null || this.held < this.length) return null;
    const all = joined(this.parts);
    const message = all.slice(0, this.length);
    this.keep(all.subarray(this.length));
    this.length = null;
    return message;
  }
  /** Throws when a message goes no further. */
  check(now) {
    if ((this.held || this.length !== null) && now - this.heard >= PATIENCE_MS) throw new SegmentError(4408, "a message that goes no further");
  }
  readLength() {
    if (!this.held) return null;
    const all = joined(this.parts);
    const reader = new Reader(all.subarray(0, LENGTH_BYTES));
    let length;
    try {
      length = reader.varint();
    } catch (error) {
      if (all.length < LENGTH_BYTES && error instanceof Malformed) return null;
      throw new SegmentError(4400, "a length that cannot be read");
    }
    if (length === 0) throw new SegmentError(4400, "an empty message");
    if (length > SEALED_BYTES) throw new SegmentError(1009, "a message is too large");
    this.keep(all.subarray(reader.position));
    return length;
  }
  keep(rest) {
    this.parts = rest.length ? [rest] : [];
    this.held = rest.length;
  }
};

// src/bluetooth.ts
var ANSWER_MS = 2e3;
var TRIES = 4;
var OPENING_MS = 2e4;
var TICK_MS = 1e3;
var FAREWELL_MS = 2e3;
var FULL_WAIT_MS = 5e3;
var CONGESTED_BYTES2 = 4096;
var LEAST_BYTES = 20;
var LOST = 1006;
var BluetoothTransport = class {
  constructor(adapter2, isWanted) {
    this.adapter = adapter2;
    this.isWanted = isWanted;
  }
  adapter;
  isWanted;
  kind = "bluetooth";
  // Whoever looks for an advertisement waits until there is one.
  openingMs = Infinity;
  // A device has one connection: the next link waits until the one before let it go.
  last = Promise.resolve();
  get isToBeChosen() {
    return this.adapter.choose !== void 0;
  }
  async choose() {
    await this.adapter.choose?.(SERVICE);
  }
  open(events) {
    const link = new BluetoothLink(this.adapter, this.isWanted, events);
    this.last = this.last.then(() => link.run());
    return link;
  }
};
var BluetoothLink = class {
  constructor(adapter2, isWanted, events) {
    this.adapter = adapter2;
    this.isWanted = isWanted;
    this.events = events;
    this.over = new Promise((resolve) => {
      this.settle = resolve;
    });
  }
  adapter;
  isWanted;
  events;
  heardAt = Date.now();
  nonce = random(NONCE_BYTES2);
  aborter = new AbortController();
  over;
  settle;
  answer;
  answered = new Promise((resolve) => {
    this.answer = resolve;
  });
  timers = [];
  connection = null;
  info = null;
  segments = null;
  channel = null;
  stream = new MessageStream();
  // Messages that go by the channel.
  outbox = [];
  outboxBytes = 0;
  pumping = false;
  written = Promise.resolve();
  closing = false;
  ended = false;
  get hasRoom() {
    return this.segments !== null && !this.closing && !this.segments.congested && this.outboxBytes <= CONGESTED_BYTES2;
  }
  /** Resolves when it is over; never rejects. */
  async run() {
    if (this.ended) return;
    try {
      const connection = await this.adapter.connect(SERVICE, { isWanted: this.isWanted, signal: this.aborter.signal });
      if (this.ended) return connection.disconnect();
      this.connection = connection;
      connection.onDisconnect(() => this.end(LOST, "the Bluetooth link was lost"));
      this.greet(connection).catch((error) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
    await this.over;
  }
  send(message) {
    if (this.channel) {
      const bytes2 = framed(message);
      this.outbox.push(bytes2);
      this.outboxBytes += bytes2.length;
    } else this.segments?.send(message);
    void this.pump();
  }
  close() {
    if (this.closing) return;
    this.closing = true;
    this.timers.push(setTimeout(() => this.end(LOST, "the Bluetooth link was closed"), FAREWELL_MS));
    void this.pump();
  }
  abandon() {
    this.end(LOST, "", 0, false);
  }
  async greet(connection) {
    this.timers.push(setTimeout(() => this.end(4408, "the gateway does not answer by Bluetooth"), OPENING_MS));
    const info = this.info = readInfo(await connection.read(INFO));
    if (!info.place) throw new OpeningError(4429, "the gateway talks to as many devices by Bluetooth as it can");
    await connection.subscribe(TX[info.place - 1], (value) => this.notified(value));
    for (let tries = 0; tries < TRIES && !this.ended && !this.segments; tries++) {
      await this.write(opener(this.nonce, connection.notificationBytes ?? 0), true);
      await Promise.race([this.answered, this.over, this.after(ANSWER_MS)]);
    }
    if (this.ended) return;
    if (!this.segments) throw new OpeningError(4408, "the gateway does not answer by Bluetooth");
    if (info.psm && connection.openChannel) await this.move(connection, info.psm);
  }
  notified(value) {
    if (this.ended) return;
    this.heardAt = Date.now();
    const answer2 = readAnswer(value);
    if (answer2 && equal(answer2.nonce, this.nonce)) this.told(answer2);
    else if (this.segments) this.guarded((now) => this.received(this.segments.receive(value, now)));
  }
  told(answer2) {
    if (answer2.refused) return this.fail(new OpeningError(answer2.number, "the gateway ended the Bluetooth link"));
    if (this.segments) return;
    const bytes2 = Math.min(answer2.number, this.connection.writeBytes ?? MAX_SEGMENT_BYTES, MAX_SEGMENT_BYTES);
    this.segments = new Segments(Math.max(bytes2, LEAST_BYTES));
    this.clearTimers();
    this.timers.push(setInterval(this.tick, TICK_MS));
    this.answer(answer2);
    this.events.opened(bluetoothKey(this.info.peer));
  }
  received(message) {
    if (message) this.events.message(message);
    if (this.segments.movedIn) this.readStream();
    void this.pump();
  }
  tick = () => {
    this.guarded((now) => {
      this.segments.check(now);
      if (this.segments.movedIn) this.stream.check(now);
    });
  };
  /** Go on by an L2CAP channel; without one it goes on as it is. */
  async move(connection, psm) {
    let channel;
    try {
      channel = await connection.openChannel(psm);
      this.listen(channel);
      await channel.write(Uint8Array.of(1));
    } catch {
      return;
    }
    if (this.ended || this.closing) return channel.close();
    this.channel = channel;
    this.outbox = this.segments.move().map(framed);
    this.outboxBytes = this.outbox.reduce((sum, { length }) => sum + length, 0);
    void this.pump();
  }
  listen(channel) {
    channel.onData((data) => {
      this.heardAt = Date.now();
      this.stream.push(data, this.heardAt);
      if (this.segments.movedIn) this.guarded(() => this.readStream());
    });
    channel.onClose(() => {
      if (this.channel) this.end(LOST, "the Bluetooth channel was lost");
    });
  }
  readStream() {
    for (let message; !this.ended && (message = this.stream.next()); ) this.events.message(message);
  }
  /** Write what there is, one after the other. */
  async pump() {
    if (this.pumping || this.ended) return;
    this.pumping = true;
    try {
      for (; ; ) {
        const hadRoom = this.hasRoom;
        const write = this.ended ? null : this.nextWrite();
        if (!write) break;
        await write();
        if (!hadRoom && this.hasRoom) this.events.room();
      }
    } catch (error) {
      this.fail(error);
    }
    this.pumping = false;
    if (this.closing) this.end(1e3, "");
  }
  nextWrite() {
    const segment = this.segments?.next(Date.now());
    if (segment) return () => this.write(segment, false);
    const bytes2 = this.outbox.shift();
    if (!bytes2) return null;
    return async () => {
      await this.channel.write(bytes2);
      this.outboxBytes -= bytes2.length;
    };
  }
  /** One at a time: the answer may come before the write of the opener is done. */
  write(bytes2, withResponse) {
    this.written = this.written.then(() => this.connection.write(RX, bytes2, withResponse));
    return this.written;
  }
  guarded(act) {
    try {
      act(Date.now());
    } catch (error) {
      if (!(error instanceof SegmentError)) throw error;
      this.fail(error);
    }
  }
  fail(error) {
    const { message } = error;
    if (!(error instanceof SegmentError || error instanceof OpeningError)) return this.end(LOST, message);
    this.end(error.code, message, error.code === 4429 ? FULL_WAIT_MS : 0);
  }
  end(code, reason, retryMs = 0, isHeard = true) {
    if (this.ended) return;
    this.ended = true;
    this.clearTimers();
    this.aborter.abort();
    try {
      this.channel?.close();
      this.connection?.disconnect();
    } catch {
    }
    this.settle();
    if (isHeard) this.events.closed(code, reason, retryMs, false);
  }
  after(ms) {
    return new Promise((resolve) => {
      this.timers.push(setTimeout(resolve, ms));
    });
  }
  clearTimers() {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers = [];
  }
};

// src/session.ts
import * as Y4 from "yjs";

// src/reconcile.ts
import { digest as sha2565 } from "lib0/hash/sha256";
var SALT_BYTES = 8;
var MAX_PAYLOAD_BYTES = MESSAGE_BYTES - 32;
var MIN_PAYLOAD_BYTES = 8192;
var SKIP = 0;
var DIGEST = 1;
var LIST = 2;
var DIFFER = 3;
var FINGERPRINT_BYTES = 16;
var DIGEST_BYTES3 = 8;
var PARTS_OF_ONE = 32;
var PARTS = 8;
var LIST_DOCUMENTS = 16;
var CUT_SLACK = 5;
var MAX_NAME_BYTES2 = 200;
var MAX_TEXTS = 8192;
var MAX_EXCHANGE_BYTES = 2 ** 25;
var LAST_TEXTS = 2;
var LAST_BYTES = 2 * (MAX_NAME_BYTES2 + 5) + 8 + DIGEST_BYTES3;
var NOTHING3 = new Uint8Array();
var encoder6 = new TextEncoder();
var utf83 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
var Catalogue = class {
  entries = /* @__PURE__ */ new Map();
  names;
  /** Places at which a block begins. */
  blocks;
  /** A name that no peer would take is left out. */
  constructor(documents) {
    for (const [name, fingerprint2] of documents) {
      if (fingerprint2.length !== FINGERPRINT_BYTES) throw new RangeError(`a fingerprint is ${FINGERPRINT_BYTES} bytes`);
      const bytes2 = encoder6.encode(name);
      if (bytes2.length <= MAX_NAME_BYTES2) this.entries.set(binary(bytes2), new Writer().bytes(bytes2).raw(fingerprint2).done());
    }
    this.names = [...this.entries.keys()].sort();
    this.blocks = [...this.names.keys()].filter((place) => sha2565(fromBinary(this.names[place]))[0] === 0);
  }
  get size() {
    return this.names.length;
  }
  /** Where a range begins and ends; no lower or upper bound is none at all. */
  places({ lower, upper }) {
    return [bisect(this.names, lower), upper ? bisect(this.names, upper) : this.names.length];
  }
  slice(start, end) {
    return this.names.slice(start, end);
  }
  /** What a list says of a document that is there, beside its name. */
  short(name, salt) {
    return sha2565(joined([salt, this.entries.get(name)])).subarray(0, DIGEST_BYTES3);
  }
  /** The digest of the documents at these places, at least one. */
  digest(start, end, salt) {
    const edges = [start, ...this.blocks.slice(bisect(this.blocks, start + 1), bisect(this.blocks, end)), end];
    const hashes = edges.slice(1).map((edge, index) => sha2565(joined(this.slice(edges[index], edge).map((name) => this.entries.get(name)))));
    return sha2565(joined([salt, ...hashes])).subarray(0, DIGEST_BYTES3);
  }
  /** The shortest bound between the names before and at a place, which is not 0. */
  bound(place) {
    const at2 = this.names[place];
    return at2.slice(0, common(this.names[place - 1], at2) + 1);
  }
};
function opening(catalogue, salt) {
  const payload = new Payload(salt, MAX_PAYLOAD_BYTES);
  payload.add(digested(catalogue, { lower: "", upper: "" }, salt));
  return payload.done();
}
function answer(catalogue, payload, maxBytes = MAX_PAYLOAD_BYTES) {
  const { salt, ranges } = read2(payload);
  const differing = new Set(ranges.flatMap(({ mode, names }) => mode === DIFFER ? names : []));
  const unequal = ranges.filter((range2) => isUnequal(catalogue, range2, salt));
  const reply = new Payload(salt, maxBytes);
  for (const piece of pieces2(catalogue, unequal, salt)) {
    if (!reply.add(piece)) {
      reply.addLast(digested(catalogue, { lower: piece.lower, upper: ranges[ranges.length - 1].upper }, salt));
      break;
    }
    if (piece.mode === DIFFER) for (const name of piece.names) differing.add(name);
  }
  return {
    reply: ranges.some(asks) ? reply.done() : null,
    differing: [...differing].sort().map((name) => utf83.decode(fromBinary(name))),
    finished: !reply.asks
  };
}
function mostTurns(maxBytes) {
  return Math.floor(MAX_EXCHANGE_BYTES / maxBytes);
}
function range({ lower, upper }, mode, content = {}) {
  return { lower, upper, mode, digest: NOTHING3, names: [], shorts: [], ...content };
}
function asks({ mode }) {
  return mode === DIGEST || mode === LIST;
}
function isUnequal(catalogue, theirs, salt) {
  if (theirs.mode !== DIGEST) return theirs.mode === LIST;
  const [start, end] = catalogue.places(theirs);
  return start === end || !same(theirs.digest, catalogue.digest(start, end, salt));
}
function* pieces2(catalogue, unequal, salt) {
  const parts = unequal.length === 1 ? PARTS_OF_ONE : PARTS;
  for (const range2 of unequal) yield* piecesOf(catalogue, range2, parts, salt);
}
function* piecesOf(catalogue, theirs, parts, salt) {
  const [start, end] = catalogue.places(theirs);
  if (theirs.mode === LIST) {
    const names = differences(catalogue, theirs, salt);
    for (let cut2 = 0; cut2 < names.length; cut2 += LIST_DOCUMENTS) {
      const next = cut2 + LIST_DOCUMENTS;
      const bounds = { lower: cut2 ? names[cut2] : theirs.lower, upper: next < names.length ? names[next] : theirs.upper };
      yield range(bounds, DIFFER, { names: names.slice(cut2, next) });
    }
  } else if (end - start <= LIST_DOCUMENTS) {
    const names = catalogue.slice(start, end);
    yield range(theirs, LIST, { names, shorts: names.map((name) => catalogue.short(name, salt)) });
  } else {
    let { lower } = theirs;
    for (const upper of [...cuts(catalogue, start, end, parts), theirs.upper]) {
      yield digested(catalogue, { lower, upper }, salt);
      lower = upper;
    }
  }
}
function differences(catalogue, theirs, salt) {
  const shorts = new Map(theirs.names.map((name, index) => [name, theirs.shorts[index]]));
  const [start, end] = catalogue.places(theirs);
  const own = catalogue.slice(start, Math.min(end, start + shorts.size + MAX_TEXTS));
  const differing = new Set(theirs.names);
  for (const name of own) {
    const short = shorts.get(name);
    if (short && same(short, catalogue.short(name, salt))) differing.delete(name);
    else differing.add(name);
  }
  return [...differing].sort();
}
function* cuts(catalogue, start, end, most) {
  const count = end - start;
  const parts = Math.min(most, Math.floor(count / 2));
  const slack = Math.min(CUT_SLACK, Math.floor(count / (4 * parts)));
  for (let number2 = 1; number2 < parts; number2++) {
    const middle = start + Math.floor(count * number2 / parts);
    const bounds = Array.from({ length: 2 * slack + 1 }, (_, index) => catalogue.bound(middle - slack + index));
    yield bounds.reduce((shortest, bound) => bound.length < shortest.length ? bound : shortest);
  }
}
function digested(catalogue, bounds, salt) {
  const [start, end] = catalogue.places(bounds);
  return start === end ? range(bounds, LIST) : range(bounds, DIGEST, { digest: catalogue.digest(start, end, salt) });
}
var Payload = class {
  asks = false;
  written;
  bytesLeft;
  textsLeft = MAX_TEXTS - LAST_TEXTS;
  reached = "";
  previous = "";
  constructor(salt, maxBytes) {
    this.written = [salt];
    this.bytesLeft = maxBytes - LAST_BYTES - salt.length;
  }
  /** Write a range above all others, unless it does not fit. */
  add(piece) {
    const skips = piece.lower !== this.reached;
    const texts = 1 + Number(skips) + piece.names.length;
    if (texts > this.textsLeft) return false;
    const writer = new Writer();
    let { previous } = this;
    const write = (text) => {
      frontCoded(writer, previous, text);
      previous = text;
    };
    if (skips) {
      write(piece.lower);
      writer.varint(SKIP);
    }
    write(piece.upper);
    writer.varint(piece.mode);
    if (piece.mode === DIGEST) writer.raw(piece.digest);
    else {
      writer.varint(piece.names.length);
      piece.names.forEach((name, index) => {
        write(name);
        if (piece.mode === LIST) writer.raw(piece.shorts[index]);
      });
    }
    const written3 = writer.done();
    if (written3.length > this.bytesLeft) return false;
    this.written.push(written3);
    this.bytesLeft -= written3.length;
    this.textsLeft -= texts;
    this.asks ||= asks(piece);
    this.previous = previous;
    this.reached = piece.upper;
    return true;
  }
  /** Write the digest of what did not fit; room was left for it. */
  addLast(piece) {
    this.bytesLeft += LAST_BYTES;
    this.textsLeft += LAST_TEXTS;
    this.add(piece);
  }
  done() {
    return joined(this.written);
  }
};
function read2(payload) {
  if (payload.length > MAX_PAYLOAD_BYTES) throw new Malformed(`ranges of more than ${MAX_PAYLOAD_BYTES} bytes`);
  const reader = new RangeReader(payload);
  const salt = reader.take(SALT_BYTES);
  const ranges = [];
  let lower = "";
  while (reader.left) {
    if (ranges.length && !lower) throw new Malformed("a range after the last");
    const upper = reader.text();
    if (upper && upper <= lower) throw new Malformed("ranges are not in order");
    ranges.push(reader.content({ lower, upper }));
    lower = upper;
  }
  return { salt, ranges };
}
var RangeReader = class extends Reader {
  previous = "";
  textsLeft = MAX_TEXTS;
  /** A bound or name, of which the beginning may be that of the text before it. */
  text() {
    if (--this.textsLeft < 0) throw new Malformed(`ranges with more than ${MAX_TEXTS} names`);
    const rest = this.bytes();
    if (!rest.length) return this.previous = "";
    const kept = this.varint();
    if (kept > this.previous.length || kept + rest.length > MAX_NAME_BYTES2) throw new Malformed("a name or bound is too long");
    return this.previous = this.previous.slice(0, kept) + binary(rest);
  }
  /** Mode and payload of the range with these bounds. */
  content(bounds) {
    const found = range(bounds, this.varint());
    if (found.mode > DIFFER) throw new Malformed("a range of an unknown mode");
    if (found.mode === DIGEST) found.digest = this.take(DIGEST_BYTES3);
    if (found.mode < LIST) return found;
    let { lower } = bounds;
    for (let left = this.varint(); left > 0; left--) {
      found.names.push(this.name(lower, bounds.upper));
      if (found.mode === LIST) found.shorts.push(this.take(DIGEST_BYTES3));
      lower = found.names[found.names.length - 1] + "\0";
    }
    return found;
  }
  name(lower, upper) {
    const name = this.text();
    if (!name || name < lower || upper && name >= upper) throw new Malformed("names are not in order or not in their range");
    try {
      utf83.decode(fromBinary(name));
    } catch {
      throw new Malformed("a name is not UTF-8");
    }
    return name;
  }
};
function frontCoded(writer, previous, text) {
  if (!text) return void writer.varint(0);
  const kept = Math.min(common(previous, text), text.length - 1);
  writer.bytes(fromBinary(text.slice(kept))).varint(kept);
}
function common(one, other) {
  const most = Math.min(one.length, other.length);
  let size = 0;
  while (size < most && one[size] === other[size]) size++;
  return size;
}
function binary(bytes2) {
  return String.fromCharCode(...bytes2);
}
function fromBinary(text) {
  const bytes2 = new Uint8Array(text.length);
  for (let place = 0; place < bytes2.length; place++) bytes2[place] = text.charCodeAt(place);
  return bytes2;
}
function bisect(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = low + high >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
function same(one, other) {
  return one.every((byte, index) => byte === other[index]);
}

// src/exchanges.ts
var Exchanges = class {
  /** `payloadBytes`: what the peer takes in one record. */
  constructor(payloadBytes) {
    this.payloadBytes = payloadBytes;
  }
  payloadBytes;
  running = /* @__PURE__ */ new Map();
  /** Begin one about a subscription, in place of one that may be under way; gives what to send. */
  begin(subscription, catalogue) {
    const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
    this.running.set(subscription, { salt, catalogue, differing: /* @__PURE__ */ new Set(), turns: 0 });
    return opening(catalogue, salt);
  }
  /** Answer the peer's turn; null if it belongs to none that is under way. Throws Malformed. */
  take(subscription, payload) {
    const exchange = this.running.get(subscription);
    if (!exchange?.salt.every((byte, index) => byte === payload[index])) return null;
    if (++exchange.turns > mostTurns(this.payloadBytes)) throw new Malformed("an exchange that does not end");
    const { reply, differing, finished } = answer(exchange.catalogue, payload, this.payloadBytes);
    for (const name of differing) exchange.differing.add(name);
    if (finished) this.running.delete(subscription);
    return { reply, differing: exchange.differing, finished };
  }
  forget(subscription) {
    this.running.delete(subscription);
  }
};

// src/packing.ts
import { deflateSync, Inflate } from "fflate";

// src/dictionary.ts
var TEXT = "1wo9cI9cKPUGASgA64UeuMKPXCij1wo94UeuFK4UeuFlAXcCBQEoAAF3C2dszMzMzM09cKPXCgF3CG9hbmlvbnceuFHrhQJ3CG5vc2hvdIdzaG90d21pbGuHAncKZXhuaW9uhyj1wo9cFHrhR65mcmVlhwo9cKPXaWMBdwJvZHMAh2VyAXxAZXIBfD8GBXByaQYEbW9kBgRpdGUGA3F0eQQBdwlwACcBBm8AB3NlcgAGc3RhAAZzY2gABnBsYQAFdG90AAVsaW4ABWtpbwAEbm90ZQF3AzFhAXw/gHR5AXw/fEAAAAAnAARuYW1lAXdtb2RzACgAb3NrAXcBQigABXB1bHNlAXcGd2VpZ2h0AXcGdml0YWxzAQAGb3h5Z2VuAXdvc2sBdwFDKAAIc3lzdG9saWMBdwMxb3NrAXcBQSgACWRpYXN0b2xpYwFub3RlAXcAKAAnAQhwYXRpZW50cxgEaXRlbQF3BVNhbGFkKAAEaXRlbQF3BkJ1cmdlcigABGl0ZW0BdwVGcmllcygAdwhvYXQgbWlsa3cIbm8gb25pb24EaXRlbQF3BVdhdGVyKABzdG9saWMBdwNxdHkBfEBAAAAoC3RlbXBlcmF0dXJlAXcBfD+AAAAoAAAGbnVtYmVyAXwAAAAAKHcKZXh0cmEgc2hvdARpdGVtAXcKQ2FwcHVjY2lubygABG1vZHMACAAEaXRlbQF3CEVzcHJlc3NvKAAEaXRlbQF3Ck1hcmdoZXJpdGEoAANxdHkBfECAAAAoAHcLZ2x1dGVuIGZyZWUEaXRlbQF3CExlbW9uYWRlKABjaGVtYQF8QAAAAAF3BGRvbmUBBG5vdGUBdwp0byB0YWJsZSA0KAAEbm90ZQF3EGFsbGVyZ2ljIHRvIG51dHMoAGVydmljZQF3BGhlcmUoAAV0b3RhbAF7QAVwcmljZQF7QAZudW1iZXIBfAVsaW5lcwAHAAVraW9zawF3AQF3BXJlYWR5AWVydmljZQF3BGF3YXkoACcBBm9yZGVycxgHc2VydmljZQF3BAZzY2hlbWEBfAZwbGFjZWQBe0J6AXcJcHJlcGFyaW5nAQZzdGF0dXMBdwRvcGVuJwA=";
var DICTIONARY = Uint8Array.from(atob(TEXT), (letter) => letter.charCodeAt(0));

// src/packing.ts
var LEVEL = 6;
var PIECE_BYTES2 = 1024;
var PackedError = class extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
  code;
};
function pack(plain2) {
  return deflateSync(plain2, { dictionary: DICTIONARY, level: LEVEL });
}
function unpack(packed, limit) {
  const parts = [];
  let made = 0;
  const inflate = new Inflate({ dictionary: DICTIONARY }, (part) => {
    made += part.length;
    if (made > limit) throw new PackedError(1009, "packed records are too large");
    parts.push(part);
  });
  try {
    for (let place = 0; place < packed.length; place += PIECE_BYTES2) {
      inflate.push(packed.subarray(place, place + PIECE_BYTES2), place + PIECE_BYTES2 >= packed.length);
    }
  } catch (error) {
    if (error instanceof PackedError) throw error;
    throw new PackedError(4400, "packed records are damaged");
  }
  return joined(parts);
}

// src/report.ts
function guarded(call) {
  try {
    call();
  } catch (error) {
    if (typeof globalThis.reportError === "function") globalThis.reportError(error);
    else console.error(error);
  }
}

// src/split.ts
import { writeVarUint } from "lib0/encoding";
import * as Y3 from "yjs";
var HEAD_BYTES = 32;
function splitUpdate(update, limit) {
  if (update.length <= limit) return [update];
  const { structs, ds } = Y3.decodeUpdate(update);
  const parts = [];
  let run = [];
  let size = 0;
  const flush = () => {
    if (run.length) parts.push(written2(run));
    run = [];
    size = 0;
  };
  for (const struct of structs) {
    const cost = written2([struct]).length + HEAD_BYTES;
    if (run.length && size + cost > limit) flush();
    run.push(struct);
    size += cost;
  }
  flush();
  if (ds.clients.size) parts.push(deletions(ds));
  return parts;
}
function written2(structs) {
  const encoder7 = new Y3.UpdateEncoderV1();
  const clients = [];
  for (const struct of structs) {
    const last = clients[clients.length - 1];
    if (last && last[0].id.client === struct.id.client) last.push(struct);
    else clients.push([struct]);
  }
  const write = varintWriter(encoder7);
  write(clients.length);
  for (const list of clients) {
    write(list.length);
    write(list[0].id.client);
    write(list[0].id.clock);
    for (const struct of list) struct.write(encoder7, 0);
  }
  write(0);
  return encoder7.toUint8Array();
}
function deletions(ds) {
  const encoder7 = new Y3.UpdateEncoderV1();
  const write = varintWriter(encoder7);
  write(0);
  write(ds.clients.size);
  for (const [client, ranges] of ds.clients) {
    write(client);
    write(ranges.length);
    for (const { clock, len } of ranges) {
      write(clock);
      write(len);
    }
  }
  return encoder7.toUint8Array();
}
function varintWriter(encoder7) {
  return (value) => writeVarUint(encoder7.restEncoder, value);
}

// src/session.ts
var VERSION3 = 1;
var FEATURE_RECONCILE = 2;
var FEATURE_DEFLATE = 16;
var FEATURE_STATE = 128;
var FEATURES = FEATURE_RECONCILE | FEATURE_DEFLATE | FEATURE_STATE;
var SLOW_BATCH_BYTES = 8192;
var LEAST_DEFLATED_BYTES = 48;
var DIFF_OVERHEAD = 48;
var RECONCILE_OVERHEAD = 32;
var MORE = 1;
var NOTHING4 = new Uint8Array([0, 0]);
var Channel2 = class {
  constructor(handle, document) {
    this.handle = handle;
    this.document = document;
  }
  handle;
  document;
  answered = false;
  peerAsked = false;
  theirs = null;
  parts = [];
  lastNumber = 0;
  // The peer sends no more of it; it is closed here when all that was sent of it is decided.
  dropped = false;
  // A change was not taken; what follows it may build on it, so nothing counts as saved.
  refused = false;
  // It holds a value that fits no message.
  tooLarge = false;
};
var Session = class {
  /** With a `calling` the link is sealed, and both sides show that they are of one store. On a `slow` one batches are small. */
  constructor(introduction, events, calling = null, slow = false) {
    this.introduction = introduction;
    this.events = events;
    this.calling = calling;
    this.slow = slow;
    if (calling) {
      this.state = "noise";
      this.bare.push(encode(calling.channel.call()));
    } else this.greet();
  }
  introduction;
  events;
  calling;
  slow;
  state = "hello";
  out = [];
  // What goes out before everything is sealed: one record a message.
  bare = [];
  peer = new Uint8Array();
  digestHeard = false;
  channels = /* @__PURE__ */ new Map();
  // Handles of the peer; null: it speaks of a document that is of no interest here any more.
  theirHandles = /* @__PURE__ */ new Map();
  offers = /* @__PURE__ */ new Map();
  subscriptions = /* @__PURE__ */ new Map();
  exchanges = null;
  // Released before the peer answered OPEN: until it did, a handle may be bound there or not.
  leaving = /* @__PURE__ */ new Map();
  nextHandle = 1;
  sent = 0;
  acked = 0;
  numbers = /* @__PURE__ */ new Map();
  limit = MESSAGE_BYTES;
  nonce = 0;
  deflates = false;
  /** Take one link message; never throws on what the peer does wrong. */
  receive(data) {
    if (this.state === "closed") return;
    try {
      if (this.state === "noise") return this.shakeHands(decode(data));
      const batch = this.unsealed(data);
      if (batch) for (const message of this.inflated(decode(batch))) this.take(message);
    } catch (error) {
      if (error instanceof Malformed) return this.close(4400, error.message);
      if (error instanceof NoiseError || error instanceof Untrusted || error instanceof PackedError) return this.close(error.code, error.message);
      throw error;
    }
  }
  /** Link messages to send now. */
  dataToSend() {
    const { bare, out, calling } = this;
    this.bare = [];
    this.out = [];
    const messages = batches(out, this.slow ? Math.min(this.limit, SLOW_BATCH_BYTES) : this.limit).map((batch) => this.deflated(batch));
    return [...bare, ...calling ? messages.map((batch) => calling.channel.seal(batch)) : messages];
  }
  /** Both sides compare: the peer opens of a subscription what differs and what changes. */
  get reconciles() {
    return this.exchanges !== null;
  }
  isOpen(name) {
    return this.channels.has(name);
  }
  /** Follow a document on this link, once it is `opened`. */
  open(document) {
    if (this.state !== "open" || this.channels.has(document.name)) return;
    const channel = new Channel2(this.leaving.get(document.name) ?? this.nextHandle++, document);
    this.leaving.delete(document.name);
    this.channels.set(document.name, channel);
    this.ask(channel);
    const offer = this.offers.get(document.name);
    if (offer) this.opened(offer.handle, document.name, offer.stateVector);
  }
  /** Begin a subscription, or change the one of that number. */
  subscribe(subscription, collection, selector) {
    this.subscriptions.set(subscription, { collection, selector });
    if (this.state === "open") this.put({ type: "SUBSCRIBE", subscription, collection, selector });
  }
  /** Compare what a subscription selects here, all of which is handed in, with what it selects there. */
  compare(subscription, documents) {
    if (this.state !== "open" || !this.exchanges) return;
    const catalogue = new Catalogue(Array.from(documents, ({ name, fingerprint: fingerprint2 }) => [name, fingerprint2]));
    this.put({ type: "RECONCILE", exchange: 2 * subscription, ranges: this.exchanges.begin(subscription, catalogue) });
  }
  unsubscribe(subscription) {
    this.exchanges?.forget(subscription);
    if (this.subscriptions.delete(subscription) && this.state === "open") this.put({ type: "UNSUBSCRIBE", subscription });
  }
  release(name) {
    const channel = this.channels.get(name);
    if (!channel) return;
    this.channels.delete(name);
    if (!channel.peerAsked) this.leaving.set(name, channel.handle);
    else if (this.state === "open") this.put({ type: "CLOSE", handle: channel.handle });
  }
  /** Begin anew with a document: each side tells again what it has. */
  reopen(name) {
    const channel = this.channels.get(name);
    if (!channel) return;
    this.release(name);
    this.open(channel.document);
  }
  /** A local change of a document that is open. */
  update(name, update) {
    const channel = this.channels.get(name);
    if (this.state !== "open" || !channel?.peerAsked) return;
    if (channel.tooLarge) return this.reopen(name);
    for (const part of splitUpdate(update, this.limit - DIFF_OVERHEAD)) {
      if (!this.fits(channel, part)) return;
      this.put({ type: "UPDATE", handle: channel.handle, update: part });
      this.count(channel);
    }
    if (!channel.refused) channel.document.handedOver();
  }
  awareness(name, payload) {
    const channel = this.channels.get(name);
    if (this.state === "open" && channel?.peerAsked) this.put({ type: "AWARENESS", handle: channel.handle, payload });
  }
  ping() {
    if (this.state === "open") this.put({ type: "PING", nonce: ++this.nonce });
  }
  close(code, reason) {
    if (this.state === "closed") return;
    if (this.state === "noise") this.bare.push(encode({ type: "GOODBYE", code, reason, retry_ms: 0 }));
    else this.put({ type: "GOODBYE", code, reason, retry_ms: 0 });
    this.end(code, reason);
  }
  greet() {
    this.state = "hello";
    this.put({
      type: "HELLO",
      lowest: VERSION3,
      highest: VERSION3,
      peer: this.introduction.peer,
      features: FEATURES,
      message_bytes: MESSAGE_BYTES,
      about: this.introduction.about
    });
  }
  shakeHands(records) {
    const [first] = records;
    if (first?.type === "GOODBYE") return this.take(first);
    const { channel } = this.calling;
    const answer2 = channel.step(records);
    if (answer2) this.bare.push(encode(answer2));
    if (channel.sealed) this.greet();
  }
  deflated(batch) {
    if (!this.deflates || this.state !== "open" || batch.length < LEAST_DEFLATED_BYTES) return batch;
    const record = encode({ type: "DEFLATED", batch: pack(batch) });
    return record.length < batch.length ? record : batch;
  }
  inflated(messages) {
    const [first] = messages;
    if (first?.type !== "DEFLATED" || messages.length > 1 || this.state !== "open") return messages;
    return decode(unpack(first.batch, MESSAGE_BYTES));
  }
  /** The batch of a link message; null when nothing can be said any more. */
  unsealed(message) {
    if (!this.calling) return message;
    try {
      return this.calling.channel.open(message);
    } catch (error) {
      if (!(error instanceof NoiseError)) throw error;
      this.out = [];
      this.end(error.code, error.message);
      return null;
    }
  }
  end(code, reason, retryMs = 0, told = false) {
    this.state = "closed";
    this.events.ended(code, reason, retryMs, told);
  }
  put(message) {
    this.out.push(encode(message));
  }
  take(message) {
    if (this.state === "closed") return;
    if (message.type === "GOODBYE") {
      return this.end(message.code, message.reason, message.retry_ms, this.state !== "noise");
    }
    if (this.state === "hello") {
      if (message.type !== "HELLO") throw new Malformed(`${message.type} does not belong here`);
      return this.greeted(message);
    }
    if (this.state === "auth") return this.admitted(message);
    switch (message.type) {
      case "OPEN":
        return this.opened(message.handle, message.document, message.state_vector);
      case "DIFF":
        return this.diff(message);
      case "UPDATE":
        return this.changed(this.channel(message.handle), message.update);
      case "AWARENESS":
        return this.channel(message.handle)?.document.receiveAwareness(message.payload);
      case "ACK":
        return this.ack(message.number);
      case "REFUSE":
        return this.refuse(message.number, message.code, message.reason);
      case "DENY":
        return this.denied(message.document, message.code, message.reason);
      case "STALE":
        return this.ask(this.channel(message.handle));
      case "PING":
        return this.put({ type: "PONG", nonce: message.nonce });
      case "CLOSE":
        return this.closed(message.handle);
      case "RECONCILE":
        return this.compared(message.exchange, message.ranges);
      case "REVOKED":
        return this.revoked(message.entry);
      case "DIGEST":
        return this.compareRevocations(message.revocations);
      case "STATE":
        return this.events.stated(message.digest.slice(), this.peer);
      case "HELLO":
      case "AUTH":
      case "GRANT":
      case "NOISE":
      case "MEMBER":
      case "TICKET":
      case "DEFLATED":
        throw new Malformed(`${message.type} does not belong here`);
    }
  }
  admitted(message) {
    const { calling } = this;
    if (message.type === "GRANT") return this.granted();
    if (calling && message.type === "TICKET") return this.events.gained(calling.take(message));
    if (calling && message.type === "MEMBER") return calling.meet(message, this.peer);
    throw new Malformed(`${message.type} does not belong here`);
  }
  granted() {
    const { calling } = this;
    if (calling && !calling.met) throw new Untrusted(UNAUTHORISED, "what answered did not show who it is");
    this.state = "open";
    if (calling) this.put({ type: "DIGEST", revocations: calling.membership.revocations.digest() });
    for (const [subscription, wanted] of this.subscriptions) this.put({ type: "SUBSCRIBE", subscription, ...wanted });
    this.events.opened();
  }
  /** Kept, and passed on with the next DIGEST that differs. */
  revoked(entry) {
    if (!this.calling?.membership.revocations.add(entry)) return;
    this.events.revoked();
    this.calling.check();
  }
  compareRevocations(theirs) {
    const { calling, digestHeard } = this;
    this.digestHeard = true;
    if (!calling || digestHeard || equal(theirs, calling.membership.revocations.digest())) return;
    for (const entry of calling.membership.revocations.entries()) this.put({ type: "REVOKED", entry });
  }
  greeted(hello) {
    if (Math.min(hello.highest, VERSION3) < Math.max(hello.lowest, VERSION3)) {
      return this.close(4426, `this app speaks version ${VERSION3}`);
    }
    this.limit = Math.min(hello.message_bytes, MESSAGE_BYTES);
    const payloadBytes = this.limit - RECONCILE_OVERHEAD;
    if (hello.features & FEATURE_RECONCILE && payloadBytes >= MIN_PAYLOAD_BYTES) this.exchanges = new Exchanges(payloadBytes);
    this.deflates = this.slow && (hello.features & FEATURE_DEFLATE) !== 0;
    this.state = "auth";
    this.peer = hello.peer.slice();
    if (this.calling) return this.put(this.calling.auth());
    const token = this.introduction.token;
    this.put(token === void 0 ? { type: "AUTH", method: 0, credential: new Uint8Array() } : { type: "AUTH", method: 2, credential: new TextEncoder().encode(token) });
  }
  ask(channel) {
    if (!channel) return;
    channel.answered = false;
    this.put({
      type: "OPEN",
      handle: channel.handle,
      document: channel.document.name,
      state_vector: Y4.encodeStateVector(channel.document.doc)
    });
    this.showPresence(channel);
  }
  showPresence({ document }) {
    const payload = document.awarenessToSend();
    if (payload) this.awareness(document.name, payload);
  }
  opened(handle, name, stateVector) {
    if (this.channels.get(name)?.dropped) this.reopen(name);
    const channel = this.channels.get(name);
    const left = this.leaving.get(name);
    if (left !== void 0) {
      this.leaving.delete(name);
      this.put({ type: "CLOSE", handle: left });
    }
    if (!channel) {
      this.theirHandles.set(handle, null);
      this.offers.set(name, { handle, stateVector });
      return this.events.offered(name);
    }
    this.offers.delete(name);
    channel.theirs = handle;
    this.theirHandles.set(handle, channel);
    let update;
    try {
      update = Y4.encodeStateAsUpdate(channel.document.doc, stateVector);
    } catch {
      throw new Malformed("a state vector cannot be read");
    }
    const split = splitUpdate(update, this.limit - DIFF_OVERHEAD);
    channel.refused = channel.tooLarge = false;
    const most = split.findIndex((part) => !this.fits(channel, part));
    const parts = most < 0 ? split : [...split.slice(0, most), NOTHING4];
    parts.forEach((part, index) => {
      const last = index === parts.length - 1;
      this.put({
        type: "DIFF",
        handle: channel.handle,
        flags: last ? 0 : MORE,
        update: part,
        fingerprint: last ? channel.document.fingerprint : new Uint8Array()
      });
      this.count(channel);
    });
    const isFirst = !channel.peerAsked;
    channel.peerAsked = true;
    if (isFirst) this.showPresence(channel);
    if (!channel.refused) channel.document.handedOver();
    this.judge(channel);
  }
  closed(handle) {
    const channel = this.theirHandles.get(handle);
    this.theirHandles.delete(handle);
    for (const [name, offer] of this.offers) if (offer.handle === handle) this.offers.delete(name);
    if (channel?.theirs !== handle) return;
    channel.dropped = true;
    this.finish(channel);
  }
  finish(channel) {
    const { name } = channel.document;
    if (!channel.dropped || channel.lastNumber > this.acked || this.channels.get(name) !== channel) return;
    this.release(name);
    this.events.closed(name);
  }
  compared(exchange, ranges) {
    if (exchange % 2 === 0) return;
    const subscription = (exchange - 1) / 2;
    const turn = this.exchanges?.take(subscription, ranges);
    if (turn?.reply) this.put({ type: "RECONCILE", exchange: 2 * subscription, ranges: turn.reply });
    if (turn?.finished) this.events.compared(subscription, turn.differing);
  }
  diff(message) {
    const channel = this.channel(message.handle);
    if (!channel) return;
    channel.parts.push(message.update);
    if (message.flags & MORE) return;
    const parts = channel.parts;
    channel.parts = [];
    channel.answered = true;
    this.apply(channel, parts);
    this.judge(channel);
  }
  changed(channel, update) {
    if (!channel) return;
    this.apply(channel, [update]);
    const { pendingStructs, pendingDs } = channel.document.doc.store;
    if ((pendingStructs || pendingDs) && channel.answered) {
      this.ask(channel);
    }
  }
  apply(channel, updates) {
    guarded(() => channel.document.receive(updates.length === 1 ? updates[0] : Y4.mergeUpdates(updates)));
  }
  judge(channel) {
    if (channel.answered && channel.peerAsked) channel.document.synced();
  }
  /** Whether a part can be sent; a single value above the limit cannot be cut. */
  fits(channel, part) {
    if (part.length <= this.limit - DIFF_OVERHEAD) return true;
    channel.refused = channel.tooLarge = true;
    channel.document.refused(1009, `a single value above ${this.limit - DIFF_OVERHEAD} bytes`);
    return false;
  }
  count(channel) {
    this.numbers.set(++this.sent, channel);
    channel.lastNumber = this.sent;
  }
  ack(number2) {
    if (number2 > this.sent) throw new Malformed("an ack for what was never sent");
    const touched = /* @__PURE__ */ new Set();
    while (this.acked < number2) {
      const channel = this.numbers.get(++this.acked);
      this.numbers.delete(this.acked);
      touched.add(channel);
    }
    for (const channel of touched) {
      if (channel.lastNumber > this.acked || this.channels.get(channel.document.name) !== channel) continue;
      if (channel.peerAsked && !channel.refused) channel.document.saved();
      this.finish(channel);
    }
  }
  refuse(number2, code, reason) {
    const channel = this.numbers.get(number2);
    if (!channel) return;
    channel.refused = true;
    channel.document.refused(code, reason);
  }
  denied(name, code, reason) {
    const channel = this.channels.get(name);
    this.channels.delete(name);
    this.leaving.delete(name);
    channel?.document.refused(code, reason);
  }
  channel(handle) {
    const channel = this.theirHandles.get(handle);
    if (channel === void 0) throw new Malformed("a handle that is not bound");
    return channel;
  }
};

// src/caller.ts
var PING_MS = 15e3;
var SILENCE_MS = 45e3;
var PROBE_MS = 3e3;
var SPARED_PING_MS = 2e3;
var SPARED_ANSWER_MS = 4e3;
var HANDSHAKE_MS = 1e4;
var SEARCH_MS = 1e4;
var FIRST_WAIT_MS = 250;
var LONGEST_WAIT_MS = 3e4;
var REFUSED_WAIT_MS = 6e4;
var STEADY_MS = 5e3;
var TOO_MANY = 4429;
var FATAL = /* @__PURE__ */ new Set([4401, 4403, 4410, 4421, 4426]);
var UNPAIRED = /* @__PURE__ */ new Set([4401, 4410, 4421]);
var UNPAIRED_REASON = "this device is of no store yet, and nothing goes by Bluetooth but between members";
var Caller = class {
  constructor(transport, office) {
    this.transport = transport;
    this.office = office;
  }
  transport;
  office;
  state = "connecting";
  reason = "";
  isStopped = true;
  needsPairing = false;
  session = null;
  /** It worked once. */
  proven = false;
  /** It did not work the last time. */
  hasFailed = false;
  link = null;
  attempts = 0;
  retry;
  deadline = Infinity;
  openedAt = 0;
  calledAt = 0;
  saidAt = 0;
  pingedAt = 0;
  answered = false;
  flushing = false;
  farewell = null;
  // The gateway needs the place for others; there is nothing to say either.
  isQuiet = false;
  gateway = "";
  // What the link of now is for, and how it is let in.
  pairing = null;
  calling = null;
  start() {
    if (!this.isStopped) return;
    this.isStopped = false;
    this.call();
  }
  /** Hang up, and do not call any more. Who never called is offline from then on, too. */
  stop(reason) {
    if (this.isStopped && this.state !== "connecting") return;
    this.isStopped = true;
    this.hangUp(reason);
    this.become("offline", reason);
  }
  /** Call anew, at once. */
  redial(reason) {
    this.hangUp(reason);
    this.attempts = 0;
    this.call();
  }
  /** The network came back, or somebody looks: do not wait for the back-off. */
  hurry() {
    this.attempts = 0;
    if (this.link) this.probe();
    else this.call();
  }
  /** There is something to say. */
  wake() {
    if (this.isQuiet) this.call();
  }
  /** Find out whether the other side is still there. Bluetooth itself says when it is not. */
  probe() {
    if (!this.link || this.transport.kind !== "network") return;
    this.session?.ping();
    this.deadline = Date.now() + PROBE_MS;
    this.flush();
  }
  /** Once a second. */
  tick(now) {
    const { link } = this;
    if (!link) return;
    const isSpared = this.state === "online" && this.office.hasSpare(this);
    const unanswered = this.pingedAt > link.heardAt ? now - this.pingedAt : 0;
    const isSilent = this.session !== null && now - link.heardAt > SILENCE_MS;
    if (now > this.deadline || isSilent || isSpared && unanswered > SPARED_ANSWER_MS) {
      link.abandon();
      this.lost({ code: 4408, reason: "nothing was heard for too long", retryMs: 0, told: false });
    } else if (this.state === "online" && (now - this.saidAt > PING_MS || isSpared && !unanswered && now - link.heardAt > SPARED_PING_MS)) {
      this.pingedAt = now;
      this.session?.ping();
      this.flush();
    } else if (this.state === "connecting" && !this.session && now - this.calledAt > SEARCH_MS) {
      this.become("offline", "no gateway is near");
    }
  }
  /** Everything said in one turn goes out together. */
  flush() {
    if (this.flushing) return;
    this.flushing = true;
    queueMicrotask(() => {
      this.flushing = false;
      if (this.link?.hasRoom) this.drain();
    });
  }
  call = () => {
    clearTimeout(this.retry);
    if (this.isStopped || this.link) return;
    this.pairing = this.office.pairing(this);
    if (this.transport.kind === "bluetooth" && !this.office.identity.membership && !this.pairing) {
      this.needsPairing = true;
      return this.become("refused", UNPAIRED_REASON);
    }
    this.calledAt = Date.now();
    this.deadline = this.calledAt + this.transport.openingMs;
    this.answered = false;
    this.farewell = null;
    this.isQuiet = false;
    this.become("connecting", "");
    const ifCurrent = (act) => (...values) => {
      if (this.link === link) act(...values);
    };
    const link = this.link = this.transport.open({
      opened: ifCurrent((gateway) => this.begin(gateway)),
      message: ifCurrent((data) => this.heard(data)),
      room: ifCurrent(() => this.flush()),
      closed: ifCurrent((code, reason, retryMs, told) => this.lost(this.farewell ?? { code, reason, retryMs, told: told && !this.calling }))
    });
  };
  heard(data) {
    this.deadline = Infinity;
    this.answered = true;
    this.session?.receive(data);
    this.flush();
  }
  begin(gateway) {
    const { office, pairing } = this;
    this.gateway = gateway;
    this.deadline = Date.now() + HANDSHAKE_MS;
    const calling = this.calling = office.entrance(gateway, pairing);
    this.session = new Session(office.introduction, {
      ...office.events(this),
      opened: () => this.opened(),
      gained: (membership) => {
        this.needsPairing = false;
        office.gained(this, pairing, membership);
      },
      revoked: () => void office.identity.keepRevocations(),
      ended: (code, reason, retryMs, told) => {
        this.farewell = { code, reason, retryMs, told };
        this.drain();
        this.link?.close();
      }
    }, calling, this.transport.kind === "bluetooth");
    this.drain();
  }
  opened() {
    const { calling, office } = this;
    this.openedAt = Date.now();
    this.needsPairing = false;
    this.proven = true;
    this.hasFailed = false;
    if (calling) {
      office.identity.meet(this.gateway, calling.channel.remoteStatic);
      office.identity.meet(bluetoothKey(calling.met.peer), calling.channel.remoteStatic);
    }
    this.become("online", "");
  }
  drain() {
    for (const message of this.session?.dataToSend() ?? []) {
      this.saidAt = Date.now();
      this.link?.send(message);
    }
  }
  hangUp(reason) {
    const { link } = this;
    clearTimeout(this.retry);
    this.session?.close(1001, reason);
    if (!link) return;
    if (!this.farewell) link.abandon();
    this.unlink();
  }
  unlink() {
    this.link = this.session = this.calling = this.pairing = null;
    this.deadline = Infinity;
    this.openedAt = 0;
  }
  lost({ code, reason, retryMs, told }) {
    const { calling, pairing, office, gateway, answered } = this;
    if (this.openedAt && Date.now() - this.openedAt > STEADY_MS) this.attempts = 0;
    this.unlink();
    this.hasFailed = true;
    const failed = pairing !== null && pairing === office.pairing(this);
    if (failed) office.notPaired(pairing, answered, reason);
    else if (told && UNPAIRED.has(code)) this.needsPairing = true;
    if (this.needsPairing) {
      if (office.identity.membership) this.retry = setTimeout(this.call, REFUSED_WAIT_MS);
      return this.become("refused", reason);
    }
    const anew = FATAL.has(code) && calling && !calling.met && office.identity.forget(gateway);
    const fatal = FATAL.has(code) && !failed && !anew;
    this.isQuiet = code === TOO_MANY && answered && this.transport.kind === "bluetooth";
    this.retry = setTimeout(this.call, fatal || this.isQuiet ? REFUSED_WAIT_MS : retryMs || this.wait());
    this.become(fatal ? "refused" : "offline", reason);
  }
  wait() {
    const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.attempts++);
    return this.office.random() * most;
  }
  become(state, reason) {
    this.state = state;
    this.reason = reason;
    this.office.became(this);
  }
};

// src/pairing-code.ts
import { sha256 as sha2566 } from "@noble/hashes/sha2.js";
var CHARACTERS = 20;
var MAX_TEXT = 64;
var PSK_LABEL = "store-gateway/1 pairing code ";
var PairingCodeError = class extends Error {
  name = "PairingCodeError";
};
function normalised(text) {
  const code = (text.length > MAX_TEXT ? "" : text).replace(/[ \-\t\r\n]/g, "").replace(/[oO]/g, "0").replace(/[iIlL]/g, "1").replace(/[a-z]/g, (letter) => letter.toUpperCase());
  if (!/^[0-9A-HJKMNP-TV-Z]{20}$/.test(code)) {
    throw new PairingCodeError(`that is not a pairing code: it has ${CHARACTERS} letters and digits, and no U`);
  }
  return code;
}
function pairingPsk(text) {
  return sha2566(new TextEncoder().encode(PSK_LABEL + normalised(text)));
}

// src/pairing-uri.ts
var SCHEME = "store-gateway:";
var VERSION4 = "1";
var MAX_TEXT2 = 1024;
var MAX_ADDRESSES = 8;
function pairingSecret(text) {
  if (typeof text !== "string") throw new PairingCodeError("a pairing code is a text");
  const given = text.trim();
  return given.toLowerCase().startsWith(SCHEME) ? readUri(given) : { psk: pairingPsk(given) };
}
function readUri(text) {
  const [start, query, ...more] = text.length > MAX_TEXT2 ? [] : text.split("?");
  const found = new URLSearchParams(query);
  const addresses = (found.get("a") ?? "").split(",");
  const psk = octets(found.get("s"), KEY_BYTES);
  const gateway = octets(found.get("k"), KEY_BYTES);
  const store = octets(found.get("i"), ID_BYTES);
  const right = start?.toLowerCase() === `${SCHEME}//pair` && !more.length && found.get("v") === VERSION4;
  if (!right || addresses.length > MAX_ADDRESSES || addresses.includes("") || !psk || !gateway || !store) {
    throw new PairingCodeError("that is not the text of a pairing QR code of this version");
  }
  return { psk, static: gateway, store };
}
function octets(text, length) {
  if (!text || !/^[\w-]+$/.test(text)) return null;
  try {
    const bytes2 = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
    return bytes2.length === length ? bytes2 : null;
  } catch {
    return null;
  }
}

// src/web-bluetooth.ts
var CHOSEN_KEY = "store-gateway-bluetooth";
var WebBluetooth = class {
  device = null;
  /** Whether this page can use Bluetooth. */
  static get available() {
    return bluetooth() !== void 0;
  }
  async choose(service) {
    try {
      this.device = await present().requestDevice({ filters: [{ services: [service] }] });
    } catch (error) {
      if (error instanceof Unreached) throw error;
      throw new Unreached(await whyNotChosen(error));
    }
    remember(this.device.id);
  }
  async connect(service, search) {
    const known = this.device ?? await granted();
    if (!known?.gatt) throw new Unreached("no gateway was chosen yet: a button has to call chooseBluetooth()");
    if (!this.device && known.watchAdvertisements) await heard(known, search);
    const giveUp = () => known.gatt.disconnect();
    search.signal.addEventListener("abort", giveUp, { once: true });
    try {
      const server = await known.gatt.connect();
      const connection = new WebConnection(known, server, await server.getPrimaryService(service));
      this.device = known;
      return connection;
    } catch (error) {
      giveUp();
      throw error;
    } finally {
      search.signal.removeEventListener("abort", giveUp);
    }
  }
};
var WebConnection = class {
  constructor(device, server, service) {
    this.device = device;
    this.server = server;
    this.service = service;
  }
  device;
  server;
  service;
  found = /* @__PURE__ */ new Map();
  // Ends what listens to the device, which outlives this connection.
  over = new AbortController();
  async read(characteristic) {
    return bytes(await (await this.characteristic(characteristic)).readValue());
  }
  async write(characteristic, value, withResponse) {
    const target = await this.characteristic(characteristic);
    const source = value;
    await (withResponse ? target.writeValueWithResponse(source) : target.writeValueWithoutResponse(source));
  }
  async subscribe(characteristic, listener) {
    const target = await this.characteristic(characteristic);
    target.addEventListener("characteristicvaluechanged", () => listener(bytes(target.value)), { signal: this.over.signal });
    await target.startNotifications();
  }
  onDisconnect(listener) {
    this.device.addEventListener("gattserverdisconnected", listener, { once: true, signal: this.over.signal });
  }
  disconnect() {
    this.over.abort();
    this.server.disconnect();
  }
  characteristic(uuid2) {
    const known = this.found.get(uuid2) ?? this.service.getCharacteristic(uuid2);
    this.found.set(uuid2, known);
    return known;
  }
};
function bluetooth() {
  return globalThis.navigator?.bluetooth;
}
function present() {
  const found = bluetooth();
  if (found) return found;
  throw new Unreached("this browser has no Bluetooth for pages: use Chrome or Edge, and open the page by https:// or from this device itself");
}
async function whyNotChosen({ name, message }) {
  if (name === "SecurityError" && message.includes("gesture")) return "the browser wants a tap or click for it";
  if (name !== "NotFoundError") return message;
  if (await bluetooth()?.getAvailability?.() === false) return "Bluetooth is turned off on this device, or it has none";
  return "no gateway was chosen, or none is near";
}
async function granted() {
  const devices = await present().getDevices?.() ?? [];
  const chosen = storage()?.getItem(CHOSEN_KEY);
  return devices.find(({ id }) => id === chosen) ?? devices[0];
}
function heard(device, { isWanted, signal }) {
  const watching = new AbortController();
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new Unreached("nobody waits any more"));
    if (signal.aborted) return giveUp();
    signal.addEventListener("abort", giveUp, { signal: watching.signal });
    device.addEventListener("advertisementreceived", (event) => {
      const { name } = event;
      if (!name || isWanted(name)) resolve();
    }, { signal: watching.signal });
    device.watchAdvertisements({ signal: watching.signal }).catch(reject);
  }).finally(() => watching.abort());
}
function remember(id) {
  try {
    storage()?.setItem(CHOSEN_KEY, id);
  } catch {
  }
}
function storage() {
  return globalThis.localStorage;
}
function bytes(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}

// src/websocket.ts
var OPENING_MS2 = 1e4;
var OPEN = 1;
var FORBIDDEN_REASON = "this page may not open that address: a page that came by https:// needs one with wss://";
var WebSocketTransport = class {
  constructor(url, Socket = globalThis.WebSocket) {
    this.Socket = Socket;
    if (!Socket) throw new TypeError("there is no WebSocket here: give one, such as that of ws, as options.WebSocket");
    this.url = address(url);
  }
  Socket;
  kind = "network";
  openingMs = OPENING_MS2;
  url;
  open(events) {
    try {
      return new WebSocketLink(new this.Socket(this.url), this.url, events);
    } catch {
      return new ForbiddenLink(events);
    }
  }
};
var ForbiddenLink = class {
  hasRoom = false;
  heardAt = Date.now();
  timer;
  constructor(events) {
    this.timer = setTimeout(() => events.closed(1006, FORBIDDEN_REASON, 0, false));
  }
  send() {
  }
  close() {
  }
  abandon() {
    clearTimeout(this.timer);
  }
};
var WebSocketLink = class {
  constructor(socket, url, events) {
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.heardAt = Date.now();
      events.opened(url);
    };
    socket.onmessage = ({ data }) => {
      this.heardAt = Date.now();
      events.message(data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array());
    };
    socket.onerror = () => {
    };
    socket.onclose = ({ code, reason }) => events.closed(code, reason, 0, true);
  }
  socket;
  heardAt = Date.now();
  get hasRoom() {
    return this.socket.readyState === OPEN;
  }
  send(message) {
    this.socket.send(message);
  }
  close() {
    this.socket.close();
  }
  abandon() {
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }
};
function address(url) {
  const parsed = new URL(url.replace(/^http/, "ws"));
  if (parsed.pathname === "/") parsed.pathname = "/mesh";
  return parsed.href;
}

// src/links.ts
var KEY_BYTES3 = 32;
var UNCHOSEN_REASON = "no gateway was chosen: call chooseBluetooth() from a button";
var Links = class {
  constructor(options, owner) {
    this.options = options;
    this.owner = owner;
    this.bluetooth = options.bluetooth ? new BluetoothTransport(adapter(options.bluetooth), this.isWanted) : void 0;
    this.callers = transports(options, this.bluetooth).map((transport) => new Caller(transport, this));
    globalThis.addEventListener?.("online", this.hurry);
    globalThis.addEventListener?.("offline", this.probe);
    globalThis.document?.addEventListener("visibilitychange", this.hurry);
    this.identified = this.identify();
  }
  options;
  owner;
  state = "connecting";
  reason = "";
  // Once it is read; no caller starts before.
  identity;
  introduction;
  callers;
  bluetooth;
  identified;
  active = null;
  invitation = null;
  ended = false;
  hasChosen = false;
  // By gateway: the state in which this device had everything of it.
  told = /* @__PURE__ */ new Map();
  /** This device is a member of a store. */
  get paired() {
    return !!this.identity?.membership;
  }
  get needsPairing() {
    return this.foremost.needsPairing;
  }
  /** By what everything goes now. */
  get via() {
    return this.active?.caller.transport.kind ?? null;
  }
  async pair(code) {
    const secret = pairingSecret(code);
    await this.identified;
    if (this.ended) throw new Unreached("the store was ended");
    this.invitation?.pairing.failed(new Unreached("another code was given"));
    await new Promise((done, failed) => {
      const ways = this.callers.filter((caller) => !this.isUnchosen(caller));
      ways.sort((one, other) => Number(other.state === "online") - Number(one.state === "online"));
      if (!ways.length) return failed(new Unreached(UNCHOSEN_REASON));
      this.invitation = { pairing: { secret, done, failed }, ways };
      this.callNext(ways[0]);
    });
  }
  /** Let the user choose a gateway; called from a tap or click, as browsers demand. */
  async chooseBluetooth() {
    if (!this.bluetooth) throw new Unreached("this store does not use Bluetooth: give connect() the option bluetooth");
    await this.bluetooth.choose();
    this.hasChosen = true;
    await this.identified;
    for (const caller of this.callers) if (caller.transport === this.bluetooth) this.callNext(caller);
  }
  /** Whether a gateway that advertises this digest has nothing that this device lacks, nor this device anything to say. */
  upToDate(digest2) {
    return !this.owner.owes() && [...this.told.values()].some((one) => equal(one, digest2));
  }
  /** More is wanted than what the gateways said all of. */
  wantsMore() {
    this.told.clear();
  }
  flush() {
    if (this.active) this.active.caller.flush();
    else if (this.owner.owes()) for (const caller of this.callers) caller.wake();
  }
  tick(now) {
    for (const caller of this.callers) caller.tick(now);
  }
  end() {
    this.ended = true;
    this.invitation?.pairing.failed(new Unreached("the store was ended"));
    globalThis.removeEventListener?.("online", this.hurry);
    globalThis.removeEventListener?.("offline", this.probe);
    globalThis.document?.removeEventListener("visibilitychange", this.hurry);
    for (const caller of this.callers) caller.stop("the app ended");
    this.identity?.close();
  }
  random() {
    return (this.options.random ?? Math.random)();
  }
  pairing(caller) {
    return this.invitation?.ways[0] === caller ? this.invitation.pairing : null;
  }
  entrance(gateway, pairing) {
    const { peer, keys, membership } = this.identity;
    if (!membership && !pairing) return null;
    const name = this.options.name ?? this.options.app ?? "";
    const known = this.identity.gateway(gateway);
    return new Calling({ peer, keys, membership, gateway: known, pairing: pairing?.secret, name }, new KeyPair(random(KEY_BYTES3)));
  }
  hasSpare(caller) {
    return this.callers.slice(this.callers.indexOf(caller) + 1).some(({ proven }) => proven);
  }
  became() {
    if (this.ended) return;
    this.choose();
    const { state, reason } = this.foremost;
    this.state = state;
    this.reason = reason;
    this.owner.changed();
  }
  gained(caller, pairing, membership) {
    void this.identity.gain(membership).then(pairing.done);
    this.invitation = null;
    this.told.clear();
    this.owner.paired();
    this.comeBack(this.callers.filter((other) => other !== caller));
  }
  notPaired(pairing, answered, reason) {
    const { ways } = this.invitation;
    ways.shift();
    if (!answered && ways.length) return this.callNext(ways[0]);
    this.invitation = null;
    pairing.failed(new Unreached(reason || "the gateway was not reached"));
  }
  events(caller) {
    const isActive = () => this.active?.caller === caller;
    return {
      offered: (name) => {
        if (isActive()) this.owner.offered(name);
      },
      closed: (name) => {
        if (isActive()) this.owner.closed(name);
      },
      compared: (subscription, differing) => {
        if (isActive()) this.owner.compared(subscription, differing);
      },
      stated: (digest2, peer) => {
        if (isActive()) this.stated(bluetoothKey(peer), digest2);
      }
    };
  }
  /** The gateway knows only of what was asked for by then. */
  stated(gateway, digest2) {
    if (this.owner.isSettled()) this.told.set(gateway, digest2);
    else this.told.delete(gateway);
  }
  async identify() {
    const identity = await Identity.load();
    if (this.ended) return identity.close();
    this.identity = identity;
    this.introduction = { peer: identity.peer, about: about(this.options), token: this.options.token };
    identity.onGained = () => {
      this.owner.paired();
      if (!this.invitation) this.comeBack(this.callers);
    };
    this.choose();
  }
  comeBack(callers) {
    for (const caller of this.callers) caller.needsPairing = false;
    for (const caller of callers) caller.redial("this device comes back as another member");
  }
  callNext(caller) {
    caller.start();
    caller.redial("this device calls anew");
  }
  /** Move everything to the best link that is open. */
  choose() {
    const caller = this.callers.find(({ state }) => state === "online");
    const session = caller?.session ?? null;
    const { active } = this;
    if (session !== (active?.session ?? null)) {
      this.active = null;
      if (active) this.owner.left(active.session);
      active?.caller.flush();
      if (caller && session) {
        this.active = { caller, session };
        this.owner.entered(session);
      }
    }
    for (const one of this.callers) {
      if (this.isSpared(one)) one.stop(this.isUnchosen(one) ? UNCHOSEN_REASON : "the network carries everything");
      else one.start();
    }
  }
  /** Bluetooth that is not wanted while the network works, or was not tried. */
  isSpared(caller) {
    const [first] = this.callers;
    if (this.isUnchosen(caller)) return true;
    if (this.options.bluetoothIdle !== "drop" || caller === first || this.invitation) return false;
    return first.state === "online" || first.state === "connecting" && !first.hasFailed;
  }
  /** Nobody told the browser yet which gateway it may talk to, and there is none from before. */
  isUnchosen({ transport }) {
    return transport === this.bluetooth && this.bluetooth.isToBeChosen && !this.hasChosen && !this.paired;
  }
  /** The caller that people want to hear of. */
  get foremost() {
    const [first] = this.callers;
    const rank = (caller) => {
      if (caller.state === "online") return 0;
      if (caller.needsPairing) return caller === first || first.hasFailed && !first.proven ? 1 : 5;
      return 2 + ["connecting", "offline", "refused"].indexOf(caller.state);
    };
    return this.callers.filter(({ isStopped }) => !isStopped).reduce((one, other) => rank(other) < rank(one) ? other : one, first);
  }
  isWanted = (name) => {
    const beacon = readBeacon(name);
    if (!beacon) return false;
    if (this.invitation) return (beacon.state & State.PAIRING) !== 0;
    const root = this.identity.membership?.root;
    if (!root || !isOfStore(root, beacon.token)) return false;
    return (beacon.state & State.FULL) === 0 && !this.upToDate(beacon.digest);
  };
  hurry = () => {
    if (globalThis.document?.visibilityState === "hidden" || !this.identity) return;
    for (const caller of this.callers) caller.hurry();
  };
  probe = () => {
    for (const caller of this.callers) caller.probe();
  };
};
function adapter(bluetooth2) {
  return bluetooth2 === true ? new WebBluetooth() : bluetooth2;
}
function transports({ url, WebSocket }, bluetooth2) {
  const network = url === void 0 ? [] : [new WebSocketTransport(url, WebSocket)];
  const ways = bluetooth2 ? [...network, bluetooth2] : network;
  if (!ways.length) throw new TypeError("give connect() a url, bluetooth, or both");
  return ways;
}
function about({ name, app, appVersion, schema }) {
  const pairs = [["app", app], ["app-version", appVersion], ["schema", schema], ["name", name]];
  return pairs.filter((pair) => pair[1] !== void 0);
}

// src/selector.ts
import * as Y5 from "yjs";
var TooManySteps = class {
};
var MAX_NESTING2 = 16;
var MAX_TERMS = 256;
var MAX_STEPS = 1e4;
var MISSING = /* @__PURE__ */ Symbol("missing");
var Odd = class {
};
var ODD = new Odd();
var SelectorError = class extends Error {
};
function compile(selector) {
  let terms = 0;
  let steps = 0;
  const test = entries(selector, 0);
  return (fields) => {
    steps = 0;
    try {
      return test(fields);
    } catch (error) {
      if (error instanceof TooManySteps) return false;
      throw error;
    }
  };
  function look(list2, size) {
    steps += list2.length * size;
    if (steps > MAX_STEPS) throw new TooManySteps();
  }
  function count(nesting, more) {
    terms += more;
    if (nesting > MAX_NESTING2 || terms > MAX_TERMS) wrong("too many terms, or nested too deeply");
  }
  function entries(wanted, nesting) {
    if (!isObject(wanted)) wrong("a selector is an object");
    count(nesting, Object.keys(wanted).length);
    return every(Object.entries(wanted).map(([key, one]) => entry(key, one, nesting)));
  }
  function entry(key, wanted, nesting) {
    if (key === "$not") return not(entries(wanted, nesting + 1));
    if (key === "$and" || key === "$or" || key === "$nor") {
      if (!Array.isArray(wanted) || !wanted.length) wrong(`${key} takes a list of selectors`);
      count(nesting, wanted.length);
      const tests = wanted.map((one) => entries(one, nesting + 1));
      return key === "$and" ? every(tests) : key === "$or" ? some(tests) : not(some(tests));
    }
    if (isOperator(key)) wrong(`${key} is not known, or not known here`);
    const path = key.split(".");
    const test2 = condition(wanted, nesting + 1);
    return (fields) => test2(at(fields, path));
  }
  function condition(wanted, nesting) {
    const keys = isObject(wanted) ? Object.keys(wanted) : [];
    if (!isObject(wanted) || !keys.length) return operator("$eq", wanted, nesting);
    const operators = keys.filter(isOperator);
    if (!operators.length) {
      const nested = entries(wanted, nesting);
      return (value) => isObject(value) && nested(value);
    }
    if (operators.length < keys.length) wrong("operators and fields beside each other");
    count(nesting, keys.length);
    return every(keys.map((key) => operator(key, wanted[key], nesting)));
  }
  function operator(name, wanted, nesting) {
    switch (name) {
      case "$eq":
        return (value) => same2(value, wanted);
      case "$ne":
        return (value) => value !== MISSING && !same2(value, wanted);
      case "$gt":
        return ordered(wanted, (order) => order > 0);
      case "$gte":
        return ordered(wanted, (order) => order >= 0);
      case "$lt":
        return ordered(wanted, (order) => order < 0);
      case "$lte":
        return ordered(wanted, (order) => order <= 0);
      case "$in": {
        const among = list(name, wanted, nesting);
        return (value) => among.some((one) => same2(value, one));
      }
      case "$nin": {
        const among = list(name, wanted, nesting);
        return (value) => value !== MISSING && !among.some((one) => same2(value, one));
      }
      case "$all": {
        const all = list(name, wanted, nesting);
        const size = sizeOf(wanted);
        return (value) => {
          if (!Array.isArray(value)) return false;
          look(value, size);
          return all.every((one) => value.some((item) => same2(item, one)));
        };
      }
      case "$exists":
        if (typeof wanted !== "boolean") wrong("$exists takes true or false");
        return (value) => value !== MISSING === wanted;
      case "$size":
        if (!Number.isInteger(wanted) || wanted < 0) wrong("$size takes a whole number");
        return (value) => Array.isArray(value) && value.length === wanted;
      case "$not":
        return not(condition(wanted, nesting + 1));
      case "$elemMatch": {
        const test2 = condition(wanted, nesting + 1);
        const size = sizeOf(wanted);
        return (value) => {
          if (!Array.isArray(value)) return false;
          look(value, size);
          return value.some(test2);
        };
      }
      default:
        return wrong(`${name} is not known, or not known here`);
    }
  }
  function list(name, wanted, nesting) {
    if (!Array.isArray(wanted)) wrong(`${name} takes a list`);
    count(nesting, wanted.length);
    return wanted;
  }
}
function fieldsOf(doc) {
  const fields = /* @__PURE__ */ Object.create(null);
  const roots = /* @__PURE__ */ Object.create(null);
  for (const name of [...doc.share.keys()].sort(codePoints)) {
    const root = doc.share.get(name);
    for (const [key, item] of root._map) {
      if (item.deleted) continue;
      const shown = isOperator(key) ? "$" + key : key;
      if (!(shown in fields)) fields[shown] = plain(item.content.getContent().at(-1));
    }
    const whole = plainRoot(root);
    if (whole !== MISSING) roots[name] = whole;
  }
  return Object.assign(fields, roots);
}
function plainRoot(root) {
  const map = [...root._map].filter(([, item]) => !item.deleted);
  if (map.length) return Object.fromEntries(map.map(([key, item]) => [key, plain(item.content.getContent().at(-1))]));
  const items = [];
  let text = "";
  let textual = false;
  for (let item = root._start; item; item = item.right) {
    if (item.deleted) continue;
    const { content } = item;
    if (content instanceof Y5.ContentString) {
      text += content.str;
      textual = true;
    } else if (content instanceof Y5.ContentFormat || content instanceof Y5.ContentEmbed) return ODD;
    else items.push(...content.getContent());
  }
  if (textual) return items.length ? ODD : text;
  if (!items.length) return MISSING;
  return items.some(isXml) ? ODD : items.map(plain);
}
function plain(value) {
  if (value instanceof Y5.Map) return Object.fromEntries([...value.entries()].map(([key, one]) => [key, plain(one)]));
  if (value instanceof Y5.Array) return value.toArray().map(plain);
  if (isXml(value)) return ODD;
  if (value instanceof Y5.Text) {
    const parts = value.toDelta();
    return parts.some(({ insert, attributes }) => attributes || typeof insert !== "string") ? ODD : value.toString();
  }
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : ODD;
  if (typeof value !== "object" || value instanceof Uint8Array) return ODD;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}
function isXml(value) {
  return value instanceof Y5.XmlElement || value instanceof Y5.XmlFragment || value instanceof Y5.XmlText;
}
function ordered(wanted, holds) {
  if (typeof wanted === "number") return (value) => typeof value === "number" && holds(value - wanted);
  if (typeof wanted === "string") return (value) => typeof value === "string" && holds(codePoints(value, wanted));
  return wrong("only numbers and texts have an order");
}
function codePoints(a, b) {
  const other = b[Symbol.iterator]();
  for (const character of a) {
    const { value, done } = other.next();
    if (done) return 1;
    const difference = character.codePointAt(0) - value.codePointAt(0);
    if (difference) return difference;
  }
  return other.next().done ? 0 : -1;
}
function same2(value, wanted) {
  if (Array.isArray(value) && Array.isArray(wanted)) {
    return value.length === wanted.length && value.every((one, index) => same2(one, wanted[index]));
  }
  if (isObject(value) && isObject(wanted)) {
    const keys = Object.keys(wanted);
    return Object.keys(value).length === keys.length && keys.every((key) => key in value && same2(value[key], wanted[key]));
  }
  return value === wanted;
}
function sizeOf(wanted) {
  if (Array.isArray(wanted)) return wanted.reduce((size, one) => size + sizeOf(one), 1);
  if (!isObject(wanted)) return 1;
  return Object.entries(wanted).reduce((size, [key, one]) => size + key.split(".").length + sizeOf(one), 1);
}
function at(value, path) {
  for (const key of path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return MISSING;
    value = value[key];
  }
  return value;
}
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Odd);
}
function isOperator(key) {
  return key.startsWith("$") && !key.startsWith("$$");
}
var every = (tests) => (value) => tests.every((test) => test(value));
var some = (tests) => (value) => tests.some((test) => test(value));
var not = (test) => (value) => !test(value);
function wrong(reason) {
  throw new SelectorError(`a selector that cannot be used: ${reason}`);
}

// src/subscription.ts
var LiveSet = class {
  /** @internal */
  constructor(collection, selector, owner) {
    this.collection = collection;
    this.selector = selector;
    this.owner = owner;
    this.matches = compile(selector);
    this.considerAll();
    this.whenLoaded = owner.load(this);
  }
  collection;
  selector;
  owner;
  /** By name; the same `Y.Doc` that `store.doc(name)` gives. */
  documents = /* @__PURE__ */ new Map();
  /** What is on this device has been looked through. */
  whenLoaded;
  /** @internal */
  loaded = false;
  /** @internal */
  comparedAt = 0;
  matches;
  listeners = /* @__PURE__ */ new Set();
  pending = null;
  /** Called after something changed, at most once a turn; gives a function that ends it. */
  on(listener) {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
  /** Ask for something else; no new link is made. */
  select(selector) {
    this.matches = compile(selector);
    this.selector = selector;
    this.considerAll();
    this.owner.changed(this);
  }
  /** No more interest; what is on this device stays until the space is needed. */
  close() {
    this.listeners.clear();
    this.documents.clear();
    this.owner.ended(this);
  }
  /** @internal */
  consider(document, changed) {
    const { name, doc } = document;
    const wanted = this.matches(fieldsOf(doc));
    if (wanted && this.documents.get(name) !== doc) {
      this.documents.set(name, doc);
      this.note("added", name);
    } else if (wanted) {
      if (changed) this.note("changed", name);
    } else if (this.documents.delete(name)) this.note("removed", name);
  }
  /** @internal */
  forget(name) {
    if (this.documents.delete(name)) this.note("removed", name);
  }
  considerAll() {
    for (const document of this.owner.known()) this.consider(document, false);
  }
  note(kind, name) {
    if (this.pending === null) {
      this.pending = { added: [], removed: [], changed: [] };
      queueMicrotask(() => {
        const change = this.pending;
        this.pending = null;
        for (const listener of [...this.listeners]) guarded(() => listener(change));
      });
    }
    if (!this.pending[kind].includes(name)) this.pending[kind].push(name);
  }
};

// src/store.ts
var TICK_MS2 = 1e3;
var PASSING = /* @__PURE__ */ new Set([4205, 4429, 4503, 4507]);
var RETRY_MS = 5e3;
var KEPT_REFUSALS = 100;
var COMPARE_MS = 3e5;
var Store = class {
  constructor(options) {
    this.options = options;
    this.links = new Links(options, {
      entered: (session) => this.entered(session),
      left: (session) => this.left(session),
      changed: () => this.linkChanged(),
      paired: () => this.emit("paired"),
      owes: () => [...this.documents.values()].some(({ state }) => state !== "saved"),
      isSettled: () => this.isSettled(),
      offered: (name) => {
        if (this.setsOf(name).length) this.join(this.get(name, true), true);
      },
      closed: (name) => {
        const document = this.documents.get(name);
        if (document && (!document.selected || document.followed)) this.join(document);
      },
      compared: (subscription, differing) => this.compared(subscription, differing)
    });
    this.ticker = setInterval(this.tick, TICK_MS2);
  }
  options;
  link = "connecting";
  /** By what it is online. */
  via = null;
  refusals = [];
  documents = /* @__PURE__ */ new Map();
  listeners = /* @__PURE__ */ new Map();
  // Of the link that carries the documents.
  session = null;
  retries = /* @__PURE__ */ new Map();
  liveSets = /* @__PURE__ */ new Map();
  nextSubscription = 1;
  // Changed in this second, and in the one before it: what a gateway passed on it writes meanwhile.
  fresh = /* @__PURE__ */ new Set();
  settling = /* @__PURE__ */ new Set();
  // What was not compared yet on this link.
  uncompared = /* @__PURE__ */ new Set();
  ticker;
  ended = false;
  waiting = /* @__PURE__ */ new Set();
  links;
  /** This device is a member of a store; known once the first link is tried. */
  get paired() {
    return this.links.paired;
  }
  /** This device is not let in, or not any more, until it is paired (`pair`); nothing is tried by itself meanwhile. */
  get needsPairing() {
    return this.links.needsPairing;
  }
  /**
   * Become a member of the gateway's store, by the code that it shows or the text of its QR code. Resolves when that is kept on
   * this device. Rejects with `PairingCodeError` if it is no code, and with `Unreached` when the gateway does not take it.
   */
  pair(code) {
    return this.links.pair(code);
  }
  /**
   * Let the user choose the gateway to talk to by Bluetooth. Browsers want that called in a click. Rejects with `Unreached`, and a sentence for
   * people, where there is no Bluetooth or nothing was chosen.
   */
  chooseBluetooth() {
    return this.links.chooseBluetooth();
  }
  /** Whether a gateway that advertises this digest (docs/bluetooth.md) need not be called. */
  upToDate(digest2) {
    return this.links.upToDate(digest2);
  }
  /** The Yjs document of that name; the same one every time. */
  doc(name) {
    const document = this.get(name);
    if (document.selected) {
      document.keep();
      this.join(document);
    }
    return document.doc;
  }
  /**
   * The documents of a collection that match, now and later, on this device and from the gateway.
   * Throws `SelectorError` when the selector cannot be used (docs/selectors.md).
   */
  subscribe(collection, selector = {}) {
    const number2 = this.nextSubscription++;
    const set = new LiveSet(collection, selector, {
      known: () => this.of(collection),
      changed: (set2) => {
        this.links.wantsMore();
        this.session?.subscribe(number2, collection, JSON.stringify(set2.selector));
        this.compare(set2);
      },
      ended: (set2) => {
        this.liveSets.delete(set2);
        this.uncompared.delete(number2);
        this.session?.unsubscribe(number2);
        this.flush();
      },
      load: async (set2) => {
        try {
          await this.loadSelected(set2);
        } finally {
          set2.loaded = true;
          this.compare(set2);
        }
      }
    });
    this.liveSets.set(set, number2);
    this.uncompared.add(number2);
    this.links.wantsMore();
    this.session?.subscribe(number2, collection, JSON.stringify(selector));
    this.flush();
    return set;
  }
  /** Who else is in the document (y-protocols awareness). */
  awareness(name) {
    return this.follow(name).awareness;
  }
  state(name) {
    return this.get(name).state;
  }
  /** The copy on this device has been read. */
  whenLoaded(name) {
    return this.get(name).loaded;
  }
  /** Both sides have what the other had. Rejects with `Unreached` when it is released or the store ends. */
  whenSynced(name) {
    const document = this.follow(name);
    return this.until(() => document.synchronised, () => this.gone(document));
  }
  /**
   * Everything (of one document) is on a gateway's disk. Rejects with `Unreached` when a change is refused for good, when
   * the document is released, and when the store ends.
   */
  whenSaved(name) {
    const one = name === void 0 ? null : this.get(name);
    const wanted = () => one ? [one] : [...this.documents.values()];
    return this.until(
      () => wanted().every(({ state }) => state === "saved"),
      () => one && this.gone(one) || wanted().map(lostHope).find(Boolean) || ""
    );
  }
  /** No more interest for now; the copy on this device stays. */
  async release(name) {
    const document = this.documents.get(name);
    if (!document) return;
    this.documents.delete(name);
    this.check();
    this.session?.release(name);
    this.flush();
    for (const set of this.liveSets.keys()) set.forget(name);
    await document.close();
  }
  on(name, listener) {
    const set = this.listeners.get(name) ?? /* @__PURE__ */ new Set();
    this.listeners.set(name, set.add(listener));
    return () => void set.delete(listener);
  }
  async destroy() {
    this.ended = true;
    this.check();
    clearInterval(this.ticker);
    for (const retry of this.retries.values()) clearTimeout(retry);
    this.links.end();
    await Promise.all([...this.documents.values()].map((document) => document.close()));
    this.documents.clear();
  }
  *of(collection) {
    for (const document of this.documents.values()) if (collectionOf(document.name) === collection) yield document;
  }
  get keepsCopies() {
    return (this.options.offline ?? true) && typeof indexedDB !== "undefined";
  }
  get prefix() {
    return `${this.options.prefix ?? "store-gateway"}/`;
  }
  /** Open what is on this device; copies that match no more and are saved elsewhere go. */
  async loadSelected(set) {
    if (!this.keepsCopies || !indexedDB.databases) return;
    const prefix = `${this.prefix}${set.collection}/`;
    const stored = (await indexedDB.databases()).flatMap(({ name }) => name?.startsWith(prefix) ? [name.slice(this.prefix.length)] : []);
    await Promise.all(stored.map(async (name) => {
      const document = this.get(name, true);
      await document.loaded;
      if (this.documents.get(name) !== document) return;
      set.consider(document, false);
      const wanted = [...this.liveSets.keys()].some((one) => one.documents.has(name));
      if (wanted || !document.selected || document.state !== "saved") return;
      this.documents.delete(name);
      this.session?.release(name);
      this.flush();
      await document.evict();
    }));
  }
  touched(document, arrived) {
    if (arrived) this.fresh.add(document);
    for (const set of this.setsOf(document.name)) set.consider(document, true);
  }
  get(name, selected = false) {
    const known = this.documents.get(name);
    if (known) return known;
    const database = this.keepsCopies ? this.prefix + name : null;
    const document = new StoreDocument(name, {
      update: (document2, update) => {
        if (this.session?.isOpen(document2.name)) this.session.update(document2.name, update);
        else this.join(document2);
        this.flush();
      },
      awareness: (name2, payload) => {
        this.session?.awareness(name2, payload);
        this.flush();
      },
      changed: ({ name: name2, state }) => this.emit("state", name2, state),
      isSynced: ({ name: name2 }) => this.emit("synced", name2),
      touched: (document2, arrived) => this.touched(document2, arrived),
      refused: (refusal) => this.refused(refusal)
    }, database, selected);
    this.documents.set(name, document);
    this.links.wantsMore();
    this.join(document);
    return document;
  }
  follow(name) {
    const document = this.get(name);
    if (!document.followed) {
      document.followed = true;
      this.links.wantsMore();
      this.join(document);
    }
    return document;
  }
  /** Open a document on the link, unless comparing finds out whether that is needed. */
  join(document, wanted = false) {
    void document.loaded.then(() => {
      if (this.documents.get(document.name) !== document) return;
      const compared = document.idle && this.session?.reconciles && this.setsOf(document.name).length;
      if (wanted || !compared) this.session?.open(document);
      this.flush();
    });
  }
  setsOf(name) {
    return [...this.liveSets.keys()].filter(({ collection }) => collection === collectionOf(name));
  }
  /** Find out, together with the gateway, what differs of a subscription. */
  compare(set) {
    const number2 = this.liveSets.get(set);
    if (number2 !== void 0 && set.loaded) {
      this.uncompared.add(number2);
      set.comparedAt = Date.now();
      this.session?.compare(number2, this.held(set));
    }
    this.flush();
  }
  *held(set) {
    for (const name of set.documents.keys()) {
      const document = this.documents.get(name);
      if (document && !document.empty) yield document;
    }
  }
  /** All else is the same on the gateway. */
  compared(subscription, differing) {
    this.uncompared.delete(subscription);
    for (const [set, number2] of this.liveSets) {
      if (number2 !== subscription) continue;
      for (const document of this.held(set)) {
        if (differing.has(document.name) || this.session?.isOpen(document.name)) continue;
        document.synced();
        this.fresh.add(document);
      }
    }
  }
  refused(refusal) {
    this.refusals.push(refusal);
    if (this.refusals.length > KEPT_REFUSALS) this.refusals.shift();
    this.emit("refused", refusal);
    const name = refusal.document;
    if (!PASSING.has(refusal.code) || this.retries.has(name)) return;
    this.retries.set(name, setTimeout(() => {
      this.retries.delete(name);
      this.session?.release(name);
      const document = this.documents.get(name);
      if (document) this.join(document);
    }, RETRY_MS * (1 + this.random())));
  }
  /** Everything goes by this session from now on. */
  entered(session) {
    this.session = session;
    this.uncompared = new Set(this.liveSets.values());
    for (const [set, number2] of this.liveSets) session.subscribe(number2, set.collection, JSON.stringify(set.selector));
    for (const document of this.documents.values()) this.join(document);
    for (const set of this.liveSets.keys()) this.compare(set);
  }
  /** It is over, or another one is better. */
  left(session) {
    this.session = null;
    this.fresh.clear();
    this.settling.clear();
    for (const number2 of this.liveSets.values()) session.unsubscribe(number2);
    for (const document of this.documents.values()) {
      session.release(document.name);
      document.unlinked();
    }
  }
  isSettled() {
    const selected = new Set([...this.liveSets.keys()].flatMap(({ documents }) => [...documents.keys()]));
    const isMissing = (document) => !document.synchronised && (!document.idle || selected.has(document.name) && !document.empty);
    return !this.uncompared.size && ![...this.documents.values()].some(isMissing);
  }
  linkChanged() {
    const { state, reason, via } = this.links;
    if (state === this.link && via === this.via) return;
    this.link = state;
    this.via = via;
    this.emit("link", state, reason);
  }
  random() {
    return (this.options.random ?? Math.random)();
  }
  tick = () => {
    const now = Date.now();
    this.links.tick(now);
    if (!this.session) return;
    this.settle();
    for (const set of this.liveSets.keys()) if (now - set.comparedAt > COMPARE_MS) this.compare(set);
  };
  settle() {
    for (const document of this.settling) if (!this.fresh.has(document)) document.settled();
    this.settling = this.fresh;
    this.fresh = /* @__PURE__ */ new Set();
  }
  flush = () => {
    this.links.flush();
  };
  emit(name, ...values) {
    for (const listener of [...this.listeners.get(name) ?? []]) guarded(() => listener(...values));
    this.check();
  }
  check() {
    for (const look of [...this.waiting]) look();
  }
  gone(document) {
    return this.documents.get(document.name) === document ? "" : `${document.name} was released`;
  }
  /** Rejects as soon as `hopeless` says why it never will be `reached`. */
  until(reached, hopeless) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const why = this.ended ? "the store was ended" : hopeless();
        if (!why && !reached()) return;
        this.waiting.delete(look);
        if (why) reject(new Unreached(why));
        else resolve();
      };
      this.waiting.add(look);
      look();
    });
  }
};
function connect(options) {
  return new Store(options);
}
function collectionOf(name) {
  return name.slice(0, name.indexOf("/"));
}
function lostHope({ name, state, refusal }) {
  return state === "saved" || !refusal || PASSING.has(refusal.code) ? "" : `${name} was refused: ${refusal.reason}`;
}
export {
  Catalogue,
  LiveSet,
  MAX_PAYLOAD_BYTES,
  MIN_PAYLOAD_BYTES,
  Malformed,
  PairingCodeError,
  SelectorError,
  Store,
  Unreached,
  WebBluetooth,
  answer,
  batches,
  canonical,
  compile,
  connect,
  decode,
  encode,
  fieldsOf,
  fingerprint,
  opening,
  splitUpdate
};
