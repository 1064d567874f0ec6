"""The structs of a Yjs v1 update, with their contents, read once for all who need them.

For what the guard accepted or this device wrote itself; anything else raises
``PeerError`` as well, but without the guard's caps. Field layout: Yjs ``Item.read`` and
``UpdateDecoderV1``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.core.errors import Code, PeerError
from gateway.core.fingerprint import Ranges, read_delete_set
from gateway.core.values import Json, binary, json_form, read_any
from gateway.core.varint import read_bytes, read_string, read_varint

Id = tuple[int, int]

# Content reference numbers of Yjs; GC and Skip are structs without content.
GC, DELETED, JSON, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, SKIP = 0, 1, 2, 3, 4, 5, 6, 7, 8, 10

_HAS_ORIGIN, _HAS_RIGHT_ORIGIN, _HAS_PARENT_SUB = 0x80, 0x40, 0x20
_REFERENCE = 0x1F
# Types with a name behind their number: XML element and hook.
_NAMED_TYPES = (3, 5)


class Format(NamedTuple):
    """A formatting mark: from here on ``key`` has this value (None ends it)."""

    key: str
    value: Json


class SharedType(NamedTuple):
    """A nested shared type: its Yjs type number and, of XML elements, its name."""

    number: int
    name: str


class Struct(NamedTuple):
    """One struct: clocks ``clock`` to ``end`` of ``client``.

    ``reference`` is the content's number. ``parent`` is a root's name, the id of the item
    that holds the type, or None: then it is that of ``origin`` or ``right_origin``.
    ``content``: a text for STRING, a list of values for JSON and ANY, one value for
    BINARY and EMBED, a Format, a SharedType, else None. ``first`` and ``last`` say where
    its bytes are.
    """

    client: int
    clock: int
    end: int
    reference: int
    origin: Id | None
    right_origin: Id | None
    parent: str | Id | None
    parent_sub: str | None
    content: Json
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Update:
    """What an update holds: structs in the order of the bytes (skips included), deletions."""

    structs: list[Struct]
    deletes: dict[int, Ranges]


def read_update(data: bytes) -> Update:
    """Read a whole v1 update. Raises ``PeerError``."""
    structs: list[Struct] = []
    clients, position = read_varint(data, 0)
    for _ in range(clients):
        count, position = read_varint(data, position)
        client, position = read_varint(data, position)
        clock, position = read_varint(data, position)
        for _ in range(count):
            struct = _read_struct(data, position, client, clock)
            clock, position = struct.end, struct.last
            structs.append(struct)
    deletes, position = read_delete_set(data, position)
    if position != len(data):
        raise PeerError(Code.MALFORMED, "an update has bytes after its end")
    return Update(structs, deletes)


def units(text: str) -> int:
    """The length of a text in UTF-16 units, which is how Yjs counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _read_struct(data: bytes, first: int, client: int, clock: int) -> Struct:
    if first >= len(data):
        raise PeerError(Code.MALFORMED, "an update is cut off")
    info = data[first]
    reference = info & _REFERENCE
    position = first + 1
    if reference in (GC, SKIP):
        length, position = read_varint(data, position)
        return Struct(
            client, clock, clock + length, reference, None, None, None, None, None, first, position
        )
    origin = right_origin = parent = parent_sub = None
    if info & _HAS_ORIGIN:
        origin, position = _read_id(data, position)
    if info & _HAS_RIGHT_ORIGIN:
        right_origin, position = _read_id(data, position)
    if not info & (_HAS_ORIGIN | _HAS_RIGHT_ORIGIN):
        parent, position = _read_parent(data, position)
        if info & _HAS_PARENT_SUB:
            parent_sub, position = read_string(data, position)
    reader = _CONTENTS.get(reference)
    if reader is None:
        raise PeerError(Code.MALFORMED, "an update has a content of unknown kind")
    content, length, position = reader(data, position)
    return Struct(
        client, clock, clock + length, reference, origin, right_origin, parent, parent_sub,
        content, first, position,
    )  # fmt: skip


def _read_id(data: bytes, position: int) -> tuple[Id, int]:
    client, position = read_varint(data, position)
    clock, position = read_varint(data, position)
    return (client, clock), position


def _read_parent(data: bytes, position: int) -> tuple[str | Id, int]:
    named, position = read_varint(data, position)
    return read_string(data, position) if named == 1 else _read_id(data, position)


Content = tuple[Json, int, int]


def _read_deleted(data: bytes, position: int) -> Content:
    length, position = read_varint(data, position)
    return None, length, position


def _read_json(data: bytes, position: int) -> Content:
    count, position = read_varint(data, position)
    values = []
    for _ in range(count):
        text, position = read_string(data, position)
        values.append(json_form(text))
    return values, count, position


def _read_binary(data: bytes, position: int) -> Content:
    raw, position = read_bytes(data, position)
    return binary(raw), 1, position


def _read_text(data: bytes, position: int) -> Content:
    text, position = read_string(data, position)
    return text, units(text), position


def _read_embed(data: bytes, position: int) -> Content:
    text, position = read_string(data, position)
    return json_form(text), 1, position


def _read_format(data: bytes, position: int) -> Content:
    key, position = read_string(data, position)
    text, position = read_string(data, position)
    return Format(key, json_form(text)), 1, position


def _read_type(data: bytes, position: int) -> Content:
    number, position = read_varint(data, position)
    name = ""
    if number in _NAMED_TYPES:
        name, position = read_string(data, position)
    return SharedType(number, name), 1, position


def _read_any(data: bytes, position: int) -> Content:
    count, position = read_varint(data, position)
    values = []
    for _ in range(count):
        value, position = read_any(data, position)
        values.append(value)
    return values, count, position


_CONTENTS: dict[int, Callable[[bytes, int], Content]] = {
    DELETED: _read_deleted,
    JSON: _read_json,
    BINARY: _read_binary,
    STRING: _read_text,
    EMBED: _read_embed,
    FORMAT: _read_format,
    TYPE: _read_type,
    ANY: _read_any,
}
