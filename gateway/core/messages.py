"""The records of the mesh protocol: docs/protocol.md section 4, as values.

Each record is a frozen dataclass; ``encode`` gives its type and body, ``decode``
takes them back. A table says how each field travels, so both directions agree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.core.errors import Code, PeerError
from gateway.core.varint import (
    read_bytes,
    read_string,
    read_varint,
    write_bytes,
    write_string,
    write_varint,
)

VERSION = 1
PEER_ID_BYTES = 16

FEATURE_SAVES = 1
FEATURE_RECONCILE = 2
FEATURE_SUBSCRIPTIONS = 4
FEATURE_PEERS = 8
FEATURE_DEFLATE = 16
FEATURE_LARGE = 32
FEATURE_RELAYS = 64
FEATURE_STATE = 128

AUTH_NONE = 0
AUTH_TICKET = 1
AUTH_TOKEN = 2
AUTH_PAIR = 3
AUTH_CERTIFICATE = 4

RIGHT_READ = 1
RIGHT_WRITE = 2

DIFF_MORE = 1

# A batch as one record; not among the records below, as it is none of them.
DEFLATED = 25

# Of a set of revocations, and of the state of a store.
DIGEST_BYTES = 16
STATE_BYTES = 4

# HELLO is read before anything is known about the peer, so it is kept small.
MAX_PAIRS = 16
MAX_PAIR_KEY_BYTES = 64
MAX_PAIR_VALUE_BYTES = 256
MAX_GRANTS = 256
MAX_PEERS = 1_000

Pairs = tuple[tuple[str, str], ...]
Grants = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks, which versions and features, how large a message it takes."""

    lowest: int
    highest: int
    peer: bytes
    features: int
    message_bytes: int
    about: Pairs = ()


@dataclass(frozen=True, slots=True)
class Auth:
    """What the caller shows to be let in."""

    method: int
    credential: bytes


@dataclass(frozen=True, slots=True)
class Grant:
    """What the caller may do: collection pattern and rights."""

    grants: Grants


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last record of a session; ``retry_ms`` 0 leaves the wait to the peer."""

    code: int
    reason: str
    retry_ms: int = 0


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a Pong with the same nonce."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a Ping."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Open:
    """Binds a handle to a document and asks for what the state vector lacks."""

    handle: int
    document: str
    state_vector: bytes


@dataclass(frozen=True, slots=True)
class Diff:
    """The answer to an Open, or one part of it."""

    handle: int
    flags: int
    fingerprint: bytes
    update: bytes


@dataclass(frozen=True, slots=True)
class Update:
    """A live change."""

    handle: int
    update: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Ends interest in a document on this link."""

    handle: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Every update up to ``number`` is decided: on disk, or named by a Refuse."""

    number: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """One update was not taken."""

    number: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Deny:
    """An Open was not allowed."""

    document: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Awareness:
    """Presence of clients in a document."""

    handle: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Stale:
    """Changes queued for the receiver were dropped; it must Open again."""

    handle: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A standing request for the documents of a collection that match."""

    subscription: int
    collection: str
    selector: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Ends a subscription."""

    subscription: int


@dataclass(frozen=True, slots=True)
class Reconcile:
    """A turn of an exchange; the ranges are decoded where they are used.

    ``exchange``: twice the number of the subscription it is about, and one more if that is
    the receiver's.
    """

    exchange: int
    ranges: bytes


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """One peer somebody knows of."""

    peer: bytes
    role: int
    via: bytes
    link: int
    round_trip_ms: int
    about: Pairs = ()


@dataclass(frozen=True, slots=True)
class Peers:
    """Peers the sender is linked to or has heard of."""

    entries: tuple[PeerEntry, ...]


@dataclass(frozen=True, slots=True)
class Noise:
    """One handshake message of the secure layer."""

    pattern: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """What the acceptor shows of itself, as the caller did with AUTH."""

    method: int
    credential: bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """What pairing gives: a ticket's credential, and the public key of the store's root."""

    credential: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class Revoked:
    """One revocation, passed on as it was signed."""

    entry: bytes


@dataclass(frozen=True, slots=True)
class Digest:
    """Stands for all revocations the sender has heard of."""

    revocations: bytes


@dataclass(frozen=True, slots=True)
class State:
    """The state of the sender's store at a moment when the peer had all of it that it wants."""

    digest: bytes


Record = (
    Hello | Auth | Grant | Goodbye | Ping | Pong | Open | Diff | Update | Close | Ack | Refuse
    | Deny | Awareness | Stale | Subscribe | Unsubscribe | Reconcile | Peers | Noise | Member
    | Ticket | Revoked | Digest | State
)  # fmt: skip

Read = Callable[[bytes, int], tuple[Any, int]]
Write = Callable[[Any], bytes]
Field = tuple[Read, Write]


def encode(record: Record) -> bytes:
    """Type and body of a record, without its length."""
    kind, layout = _BY_CLASS[type(record)]
    parts = [kind]
    for name, (_, write) in layout:
        parts.append(write(getattr(record, name)))
    return b"".join(parts)


def decode(data: bytes) -> Record | None:
    """The record in ``data`` (type and body), or None for a type not known here.

    Raises ``PeerError`` with ``Code.MALFORMED`` on anything else that is not a record.
    """
    kind, position = read_varint(data, 0)
    entry = _BY_TYPE.get(kind)
    if entry is None:
        return None
    build, readers = entry
    values = []
    for read in readers:
        value, position = read(data, position)
        values.append(value)
    record: Record = build(*values)
    return record


def _read_rest(data: bytes, position: int) -> tuple[bytes, int]:
    return data[position:], len(data)


def _write_rest(value: bytes) -> bytes:
    return value


def _read_counted(data: bytes, position: int, limit: int, read: Read) -> tuple[Any, int]:
    count, position = read_varint(data, position)
    if count > limit:
        raise PeerError(Code.MALFORMED, f"a list of more than {limit} entries")
    entries = []
    for _ in range(count):
        entry, position = read(data, position)
        entries.append(entry)
    return tuple(entries), position


def _read_pair(data: bytes, position: int) -> tuple[tuple[str, str], int]:
    key, after_key = read_string(data, position)
    value, end = read_string(data, after_key)
    if after_key - position > MAX_PAIR_KEY_BYTES + 1 or end - after_key > MAX_PAIR_VALUE_BYTES + 2:
        raise PeerError(Code.MALFORMED, "a key or value of the description is too long")
    return (key, value), end


def _read_pairs(data: bytes, position: int) -> tuple[Pairs, int]:
    return _read_counted(data, position, MAX_PAIRS, _read_pair)


def _write_pairs(pairs: Pairs) -> bytes:
    body = b"".join(write_string(key) + write_string(value) for key, value in pairs)
    return write_varint(len(pairs)) + body


def _read_grant(data: bytes, position: int) -> tuple[tuple[str, int], int]:
    pattern, position = read_string(data, position)
    rights, position = read_varint(data, position)
    return (pattern, rights), position


def _read_grants(data: bytes, position: int) -> tuple[Grants, int]:
    return _read_counted(data, position, MAX_GRANTS, _read_grant)


def _write_grants(grants: Grants) -> bytes:
    body = b"".join(write_string(pattern) + write_varint(rights) for pattern, rights in grants)
    return write_varint(len(grants)) + body


def _read_peer_id(data: bytes, position: int) -> tuple[bytes, int]:
    peer, position = read_bytes(data, position)
    if len(peer) != PEER_ID_BYTES:
        raise PeerError(Code.MALFORMED, f"a peer id is {PEER_ID_BYTES} bytes")
    return peer, position


def _read_digest(data: bytes, position: int) -> tuple[bytes, int]:
    digest, position = read_bytes(data, position)
    if len(digest) != DIGEST_BYTES:
        raise PeerError(Code.MALFORMED, f"a digest is {DIGEST_BYTES} bytes")
    return digest, position


def _read_state(data: bytes, position: int) -> tuple[bytes, int]:
    digest, position = read_bytes(data, position)
    if len(digest) != STATE_BYTES:
        raise PeerError(Code.MALFORMED, f"the digest of a store is {STATE_BYTES} bytes")
    return digest, position


def _read_fingerprint(data: bytes, position: int) -> tuple[bytes, int]:
    fingerprint, position = read_bytes(data, position)
    if len(fingerprint) not in (0, 16):
        raise PeerError(Code.MALFORMED, "a fingerprint is 16 bytes or empty")
    return fingerprint, position


VARINT: Field = (read_varint, write_varint)
STRING: Field = (read_string, write_string)
BYTES: Field = (read_bytes, write_bytes)
REST: Field = (_read_rest, _write_rest)
PAIRS: Field = (_read_pairs, _write_pairs)
GRANTS: Field = (_read_grants, _write_grants)
PEER_ID: Field = (_read_peer_id, write_bytes)
DIGEST: Field = (_read_digest, write_bytes)
STATE: Field = (_read_state, write_bytes)
FINGERPRINT: Field = (_read_fingerprint, write_bytes)

_PEER_FIELDS: tuple[Field, ...] = (PEER_ID, VARINT, BYTES, VARINT, VARINT, PAIRS)


def _read_peer(data: bytes, position: int) -> tuple[PeerEntry, int]:
    values = []
    for read, _ in _PEER_FIELDS:
        value, position = read(data, position)
        values.append(value)
    return PeerEntry(*values), position


def _read_peers(data: bytes, position: int) -> tuple[tuple[PeerEntry, ...], int]:
    return _read_counted(data, position, MAX_PEERS, _read_peer)


def _write_peers(entries: tuple[PeerEntry, ...]) -> bytes:
    names = PeerEntry.__slots__
    body = b"".join(
        write(getattr(entry, name))
        for entry in entries
        for name, (_, write) in zip(names, _PEER_FIELDS, strict=True)
    )
    return write_varint(len(entries)) + body


PEERS: Field = (_read_peers, _write_peers)

TYPES: dict[int, tuple[type[Record], tuple[Field, ...]]] = {
    1: (Hello, (VARINT, VARINT, PEER_ID, VARINT, VARINT, PAIRS)),
    2: (Auth, (VARINT, BYTES)),
    3: (Grant, (GRANTS,)),
    4: (Goodbye, (VARINT, STRING, VARINT)),
    5: (Ping, (VARINT,)),
    6: (Pong, (VARINT,)),
    7: (Open, (VARINT, STRING, BYTES)),
    8: (Diff, (VARINT, VARINT, FINGERPRINT, REST)),
    9: (Update, (VARINT, REST)),
    10: (Close, (VARINT,)),
    11: (Ack, (VARINT,)),
    12: (Refuse, (VARINT, VARINT, STRING)),
    13: (Deny, (STRING, VARINT, STRING)),
    14: (Awareness, (VARINT, REST)),
    15: (Stale, (VARINT,)),
    16: (Subscribe, (VARINT, STRING, STRING)),
    17: (Unsubscribe, (VARINT,)),
    18: (Reconcile, (VARINT, REST)),
    19: (Peers, (PEERS,)),
    20: (Noise, (VARINT, REST)),
    21: (Member, (VARINT, BYTES)),
    22: (Ticket, (BYTES, BYTES)),
    23: (Revoked, (REST,)),
    24: (Digest, (DIGEST,)),
    26: (State, (STATE,)),
}

_BY_TYPE: dict[int, tuple[type[Record], tuple[Read, ...]]] = {
    number: (build, tuple(read for read, _ in layout)) for number, (build, layout) in TYPES.items()
}
_BY_CLASS: dict[type[Record], tuple[bytes, tuple[tuple[str, Field], ...]]] = {
    build: (write_varint(number), tuple(zip(build.__slots__, layout, strict=True)))
    for number, (build, layout) in TYPES.items()
}
