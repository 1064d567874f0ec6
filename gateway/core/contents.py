"""The contents of items in a Yjs v1 update, checked and measured, never built.

Every reader takes the data, a position and the limits, and returns how many clocks the
content takes and the position after it, or raises ``PeerError``. Running off the end of
the data may also raise ``IndexError``; the walk turns it into a refusal.
"""

from collections.abc import Callable
from typing import NoReturn

from gateway.core.errors import Code, PeerError
from gateway.core.json_text import check_characters, check_json
from gateway.core.limits import Limits
from gateway.core.varint import read_varint

Reader = Callable[[bytes, int, Limits], tuple[int, int]]

DELETED, BINARY, STRING, EMBED, FORMAT, TYPE, ANY = 1, 3, 4, 5, 6, 7, 8

# Array, map, text, XML element, XML fragment, XML text. Of a hook (5) the library does not
# read the name, and of a weak link (7) it reads more than Yjs writes.
_TYPES = frozenset({0, 1, 2, 3, 4, 6})
_XML_ELEMENT = 3
# Encodings of lib0 ``any``; those below are not defined.
_ANY_BYTES, _ANY_ARRAY, _ANY_OBJECT, _ANY_STRING, _ANY_INTEGER = 116, 117, 118, 119, 125
_ANY_FIXED = {120: 0, 121: 0, 122: 8, 123: 8, 124: 4, 126: 0, 127: 0}
# lib0 writes 6 bits in the first byte of an integer and 7 in the others, 53 in all.
_MAX_INTEGER_BYTES = 8


def cut_off() -> PeerError:
    """The refusal of bytes that end too early."""
    return PeerError(Code.MALFORMED, "an update is cut off")


def refuse_big(reason: str) -> NoReturn:
    """Refuse what is sound, but more than a cap allows."""
    raise PeerError(Code.TOO_BIG, reason)


def read_text(data: bytes, position: int, most: int) -> tuple[str, int]:
    """A text of at most ``most`` bytes and the position after it."""
    length = data[position]
    if length < 0x80:
        position += 1
    else:
        length, position = read_varint(data, position)
    end = position + length
    if end > len(data):
        raise cut_off()
    if length > most:
        refuse_big(f"a name or key above {most} bytes")
    try:
        return data[position:end].decode(), end
    except UnicodeDecodeError:
        raise PeerError(Code.MALFORMED, "a text is not UTF-8") from None


def _deleted(data: bytes, position: int, _: Limits) -> tuple[int, int]:
    return read_varint(data, position)


def _binary(data: bytes, position: int, _: Limits) -> tuple[int, int]:
    return 1, _skip_bytes(data, position)


def _string(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    text, end = read_text(data, position, limits.message_bytes)
    # Clocks count UTF-16 units.
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2, end


def _embed(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    text, position = read_text(data, position, limits.message_bytes)
    check_json(text, limits.nesting)
    check_characters(text)
    return 1, position


def _format(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    _, position = read_text(data, position, limits.key_bytes)
    return _embed(data, position, limits)


def _type(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    kind, position = read_varint(data, position)
    if kind not in _TYPES:
        raise PeerError(Code.MALFORMED, "a shared type that is not taken")
    if kind == _XML_ELEMENT:
        _, position = read_text(data, position, limits.key_bytes)
    return 1, position


def _anys(data: bytes, position: int, limits: Limits) -> tuple[int, int]:
    count, position = read_varint(data, position)
    if count > len(data) - position:
        raise cut_off()
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
            _, position = read_text(data, position, limits.key_bytes)
        kind = data[position]
        position += 1
        if kind == _ANY_STRING:
            _, position = read_text(data, position, limits.message_bytes)
        elif kind == _ANY_INTEGER:
            position = _skip_integer(data, position)
        elif kind in _ANY_FIXED:
            position += _ANY_FIXED[kind]
        elif kind in (_ANY_OBJECT, _ANY_ARRAY):
            open_containers.append((count, keyed))
            if len(open_containers) > limits.nesting:
                refuse_big(f"values nested deeper than {limits.nesting}")
            keyed = kind == _ANY_OBJECT
            count, position = read_varint(data, position)
            if count > len(data) - position:
                raise cut_off()
        elif kind == _ANY_BYTES:
            position = _skip_bytes(data, position)
        else:
            raise PeerError(Code.MALFORMED, "a value of an unknown kind")


def _skip_bytes(data: bytes, position: int) -> int:
    length, start = read_varint(data, position)
    if start + length > len(data):
        raise cut_off()
    return start + length


def _skip_integer(data: bytes, position: int) -> int:
    first = position
    while data[position] & 0x80:
        position += 1
        if position - first >= _MAX_INTEGER_BYTES:
            raise PeerError(Code.MALFORMED, "a number is too large")
    if position > first and not data[position]:
        raise PeerError(Code.MALFORMED, "a number is not in its shortest form")
    return position + 1


# By content reference. Not taken: 2, the JSON of Yjs before 2020, of which the library reads
# one text too many; 9, sub-documents; 11, moves; whatever comes after them.
CONTENTS: dict[int, Reader] = {
    DELETED: _deleted, BINARY: _binary, STRING: _string, EMBED: _embed, FORMAT: _format,
    TYPE: _type, ANY: _anys,
}  # fmt: skip
