"""Structural check of every byte a peer sends, before any decoder sees it (invariant 1).

One iterative walk over a Yjs v1 update, state vector or awareness update: every count is
checked against the bytes left, every length and clock against a cap, and the bytes must
be used up exactly. The walk also yields what the rest needs, so nothing is parsed twice.
Layouts: Yjs ``readClientsStructRefs``, ``readItemContent``, ``readDeleteSet`` and lib0
``readAny``; y-protocols ``applyAwarenessUpdate``. V2 encodings are never accepted.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from gateway.core.errors import Code, PeerError
from gateway.core.json_text import check_json
from gateway.core.varint import read_varint

MAX_CLIENT = 2**53 - 1
# Encodings of lib0 ``any`` below this are not defined.
_ANY_BYTES, _ANY_ARRAY, _ANY_OBJECT, _ANY_STRING = 116, 117, 118, 119
_ANY_FIXED = {120: 0, 121: 0, 122: 8, 123: 8, 124: 4, 126: 0, 127: 0}
_ANY_INTEGER = 125
# A signed varint of lib0 holds at most 53 bits; one byte more is only ever noise.
_MAX_INTEGER_BYTES = 8

_GC, _DELETED, _TYPE, _SKIP = 0, 1, 7, 10
_HAS_ORIGIN, _HAS_RIGHT_ORIGIN, _HAS_PARENT_SUB = 0x80, 0x40, 0x20
# Array, map, text, XML element, XML fragment, XML text. Hooks and weak links are refused.
_TYPES = frozenset({0, 1, 2, 3, 4, 6})
_XML_ELEMENT = 3


class Span(NamedTuple):
    """Clocks ``start`` (included) to ``end`` (excluded) of one client."""

    client: int
    start: int
    end: int


class AwarenessEntry(NamedTuple):
    """One client's awareness: its clock and its state as JSON text (``null``: gone)."""

    client: int
    clock: int
    state_json: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps; bytes unless named otherwise. docs/limits.md gives the reasons."""

    message_bytes: int = 262_144
    clients: int = 2_000
    vector_clients: int = 20_000
    structs: int = 50_000
    delete_ranges: int = 50_000
    nesting: int = 32
    key_bytes: int = 256
    root_name_bytes: int = 128
    roots: int = 1_000
    clock: int = 2**31 - 1
    same_place: int = 2_000
    awareness_entries: int = 1_024
    awareness_state_bytes: int = 2_048

    def as_dict(self) -> dict[str, int]:
        """The caps by name, for machines."""
        return asdict(self)


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """What one structurally sound Yjs v1 update holds.

    ``spans``: the structs carried (skips left out), per client contiguous and in order.
    ``deletes``: the ranges of the delete set. ``needs``: per client the clock that must be
    known before the update can be integrated whole: one past the highest clock referred
    to as origin, right origin, parent or deleted. ``roots``: names of root types written
    to. ``structs``: how many structs.
    """

    spans: tuple[Span, ...]
    deletes: tuple[Span, ...]
    needs: dict[int, int]
    roots: frozenset[str]
    structs: int


def inspect_update(data: bytes, limits: Limits = DEFAULT_LIMITS) -> UpdateFacts:
    """Check a Yjs v1 update and say what it holds.

    Raises ``PeerError``: TOO_BIG above the message limit, else MALFORMED.
    """
    if len(data) > limits.message_bytes:
        raise PeerError(Code.TOO_BIG, f"an update above {limits.message_bytes} bytes")
    walk = _Walk(data, limits)
    try:
        position = walk.structs()
        position = walk.delete_set(position)
    except IndexError:
        raise _cut_off() from None
    if position != len(data):
        raise PeerError(Code.MALFORMED, "an update has bytes after its end")
    walk.check_parents()
    return UpdateFacts(
        tuple(walk.spans), tuple(walk.deletes), walk.needs, frozenset(walk.roots), walk.count
    )


def inspect_state_vector(data: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[int, int]:
    """Check a state vector; returns the clock per client. Raises ``PeerError``."""
    count, position = read_varint(data, 0)
    if count > limits.vector_clients or 2 * count > len(data) - position:
        raise PeerError(Code.MALFORMED, "a state vector claims too many clients")
    clocks: dict[int, int] = {}
    for _ in range(count):
        client, position = read_varint(data, position)
        clock, position = read_varint(data, position)
        if not client or clock > limits.clock or client in clocks:
            raise PeerError(Code.MALFORMED, "a state vector is out of bounds")
        clocks[client] = clock
    if position != len(data):
        raise PeerError(Code.MALFORMED, "a state vector has bytes after its end")
    return clocks


def inspect_awareness(data: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[AwarenessEntry, ...]:
    """Check an awareness update; returns its entries. Raises ``PeerError``."""
    count, position = read_varint(data, 0)
    if count > limits.awareness_entries or 3 * count > len(data) - position:
        raise PeerError(Code.MALFORMED, "awareness claims too many clients")
    entries = []
    for _ in range(count):
        client, position = read_varint(data, position)
        clock, position = read_varint(data, position)
        state, position = _text(data, position, limits.awareness_state_bytes)
        if not client or clock > limits.clock:
            raise PeerError(Code.MALFORMED, "awareness is out of bounds")
        check_json(state, limits.nesting)
        entries.append(AwarenessEntry(client, clock, state))
    if position != len(data):
        raise PeerError(Code.MALFORMED, "awareness has bytes after its end")
    return tuple(entries)


class _Walk:
    """The walk over one update; methods take a position and return the one after."""

    __slots__ = (
        "_data", "_limits", "_parents", "_places", "_references", "_size", "count", "deletes",
        "needs", "roots", "spans",
    )  # fmt: skip

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = data
        self._size = len(data)
        self._limits = limits
        self.spans: list[Span] = []
        self.deletes: list[Span] = []
        self.needs: dict[int, int] = {}
        self.roots: set[str] = set()
        self.count = 0
        # Content reference of the structs something may name as its parent.
        self._references: dict[tuple[int, int], int] = {}
        self._parents: set[tuple[int, int]] = set()
        self._places: dict[object, int] = {}

    def structs(self) -> int:
        """All structs of all clients."""
        data, limits = self._data, self._limits
        clients, position = read_varint(data, 0)
        if clients > limits.clients or 5 * clients > self._size - position:
            raise PeerError(Code.MALFORMED, "an update claims too many clients")
        seen: set[int] = set()
        for _ in range(clients):
            count, position = read_varint(data, position)
            client, position = read_varint(data, position)
            clock, position = read_varint(data, position)
            if not count or 2 * count > self._size - position or not client or client in seen:
                raise PeerError(Code.MALFORMED, "a client's structs are out of bounds")
            seen.add(client)
            self.count += count
            if self.count > limits.structs:
                raise PeerError(Code.MALFORMED, f"more than {limits.structs} structs")
            position = self._client_structs(client, clock, count, position)
        return position

    def delete_set(self, position: int) -> int:
        """The delete set."""
        data, limits, needs = self._data, self._limits, self.needs
        clients, position = read_varint(data, position)
        if clients > limits.clients or 4 * clients > self._size - position:
            raise PeerError(Code.MALFORMED, "a delete set claims too many clients")
        seen: set[int] = set()
        for _ in range(clients):
            client, position = read_varint(data, position)
            count, position = read_varint(data, position)
            if not client or client in seen or 2 * count > self._size - position:
                raise PeerError(Code.MALFORMED, "a delete set is out of bounds")
            seen.add(client)
            end = 0
            for _ in range(count):
                start, position = read_varint(data, position)
                length, position = read_varint(data, position)
                if start < end or not length:
                    raise PeerError(Code.MALFORMED, "deleted ranges overlap or are empty")
                end = start + length
                if end > limits.clock:
                    raise PeerError(Code.MALFORMED, "a deleted range is out of bounds")
                self.deletes.append(Span(client, start, end))
            if len(self.deletes) > limits.delete_ranges:
                raise PeerError(Code.MALFORMED, "too many deleted ranges")
            if end > needs.get(client, 0):
                needs[client] = end
        return position

    def check_parents(self) -> None:
        """What this update names as a parent and carries itself must be a type."""
        for parent in self._parents:
            reference = self._references.get(parent, _TYPE)
            if reference not in (_TYPE, _DELETED, _GC):
                raise PeerError(Code.MALFORMED, "an item's parent is not a type")

    def _client_structs(self, client: int, clock: int, count: int, position: int) -> int:
        data, most, spans = self._data, self._limits.clock, self.spans
        start = clock
        for _ in range(count):
            info = data[position]
            reference = info & 0x1F
            position += 1
            if reference in (_GC, _SKIP):
                length, position = read_varint(data, position)
                if reference == _SKIP:
                    if clock > start:
                        spans.append(Span(client, start, clock))
                    start = clock + length
            else:
                position = self._item(client, clock, info, position)
                read = _CONTENTS.get(reference)
                if read is None:
                    raise PeerError(Code.MALFORMED, "a struct of a kind that is not taken")
                length, position = read(data, position, self._limits)
            if not length or clock + length > most:
                raise PeerError(Code.MALFORMED, "a struct's length is out of bounds")
            if count > 1 or reference != _TYPE:
                self._references[client, clock] = reference
            clock += length
        if clock > start:
            spans.append(Span(client, start, clock))
        return position

    def _item(self, client: int, clock: int, info: int, position: int) -> int:
        """Origins and parent of an item."""
        data = self._data
        place: object
        if info & (_HAS_ORIGIN | _HAS_RIGHT_ORIGIN):
            origin = right = None
            if info & _HAS_ORIGIN:
                origin, position = self._id(client, clock, position)
            if info & _HAS_RIGHT_ORIGIN:
                right, position = self._id(client, clock, position)
            if origin is None or right is None:
                return position
            place = (origin, right)
        else:
            named, position = read_varint(data, position)
            if named == 1:
                name, position = _text(data, position, self._limits.root_name_bytes)
                if name not in self.roots:
                    self.roots.add(name)
                    if len(self.roots) > self._limits.roots:
                        raise PeerError(Code.MALFORMED, "too many roots")
                place = name
            elif named == 0:
                place, position = self._id(client, clock, position)
                self._parents.add(place)
            else:
                raise PeerError(Code.MALFORMED, "a parent is neither a root nor an item")
            if info & _HAS_PARENT_SUB:
                key, position = _text(data, position, self._limits.key_bytes)
                place = (place, key)
        # Items that compete for one place cost their number squared to order.
        places = self._places
        competing = places[place] = places.get(place, 0) + 1
        if competing > self._limits.same_place:
            raise PeerError(Code.MALFORMED, "too many items compete for one place")
        return position

    def _id(self, client: int, clock: int, position: int) -> tuple[tuple[int, int], int]:
        named, position = read_varint(self._data, position)
        at, position = read_varint(self._data, position)
        if not named or at >= self._limits.clock or (named == client and at >= clock):
            raise PeerError(Code.MALFORMED, "an item names what cannot be there yet")
        if at >= self.needs.get(named, 0):
            self.needs[named] = at + 1
        return (named, at), position


def _cut_off() -> PeerError:
    return PeerError(Code.MALFORMED, "an update is cut off")


def _raw(data: bytes, position: int) -> tuple[int, int]:
    """Start and end of length-prefixed bytes."""
    length, start = read_varint(data, position)
    end = start + length
    if end > len(data):
        raise _cut_off()
    return start, end


def _text(data: bytes, position: int, most: int) -> tuple[str, int]:
    start, end = _raw(data, position)
    if end - start > most:
        raise PeerError(Code.MALFORMED, "a text is too long")
    try:
        return data[start:end].decode(), end
    except UnicodeDecodeError:
        raise PeerError(Code.MALFORMED, "a text is not UTF-8") from None


def _deleted(data: bytes, position: int, _: Limits) -> tuple[int, int]:
    return read_varint(data, position)


def _json(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    count, position = read_varint(data, position)
    if count > len(data) - position:
        raise _cut_off()
    for _ in range(count):
        text, position = _text(data, position, limits.message_bytes)
        if text != "undefined":
            check_json(text, limits.nesting)
    return count, position


def _binary(data: bytes, position: int, _: Limits) -> tuple[int, int]:
    return 1, _raw(data, position)[1]


def _string(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    text, end = _text(data, position, limits.message_bytes)
    # Clocks count UTF-16 units.
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2, end


def _embed(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    text, position = _text(data, position, limits.message_bytes)
    check_json(text, limits.nesting)
    return 1, position


def _format(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    _, position = _text(data, position, limits.key_bytes)
    return _embed(data, position, limits)


def _type(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    kind, position = read_varint(data, position)
    if kind not in _TYPES:
        raise PeerError(Code.MALFORMED, "a shared type that is not taken")
    if kind == _XML_ELEMENT:
        _, position = _text(data, position, limits.key_bytes)
    return 1, position


def _anys(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    count, position = read_varint(data, position)
    if count > len(data) - position:
        raise _cut_off()
    return count, _skip_values(data, position, count, limits)


def _skip_values(data: bytes, position: int, count: int, limits: Limits) -> int:
    """Past ``count`` values of lib0 ``any``, without recursion."""
    # Per open container: values left in it, and whether keys stand before them.
    open_containers: list[tuple[int, bool]] = []
    keyed = False
    while True:
        while not count:
            if not open_containers:
                return position
            count, keyed = open_containers.pop()
        count -= 1
        if keyed:
            _, position = _text(data, position, limits.key_bytes)
        kind = data[position]
        position += 1
        if kind == _ANY_STRING:
            _, position = _text(data, position, limits.message_bytes)
        elif kind == _ANY_INTEGER:
            position = _skip_integer(data, position)
        elif kind in (_ANY_OBJECT, _ANY_ARRAY):
            inner, position = read_varint(data, position)
            if inner > len(data) - position:
                raise _cut_off()
            open_containers.append((count, keyed))
            if len(open_containers) > limits.nesting:
                raise PeerError(Code.MALFORMED, "values are nested too deep")
            count, keyed = inner, kind == _ANY_OBJECT
        elif kind == _ANY_BYTES:
            position = _raw(data, position)[1]
        else:
            size = _ANY_FIXED.get(kind)
            if size is None:
                raise PeerError(Code.MALFORMED, "a value of an unknown kind")
            position += size
            if position > len(data):
                raise _cut_off()


def _skip_integer(data: bytes, position: int) -> int:
    first = position
    while data[position] & 0x80:
        position += 1
        if position - first >= _MAX_INTEGER_BYTES:
            raise PeerError(Code.MALFORMED, "a number is too large")
    return position + 1


_CONTENTS: dict[int, Callable[[bytes, int, Limits], tuple[int, int]]] = {
    1: _deleted, 2: _json, 3: _binary, 4: _string, 5: _embed, 6: _format, 7: _type, 8: _anys,
}  # fmt: skip
