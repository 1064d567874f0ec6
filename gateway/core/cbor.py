"""CBOR (RFC 8949), the part that signed claims need, in deterministic encoding only.

Whole numbers, byte strings, text, arrays, and maps whose keys are whole numbers. Section
4.2.1 is held both ways: what is not in its one form (longer numbers than needed, unsorted or
repeated keys, indefinite lengths, bytes after the end) is refused, as are tags, floats and
simple values. So equal values have equal bytes, and nothing is hidden beside what is read.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum

from gateway.core.errors import Code, PeerError

Value = int | bytes | str | Sequence["Value"] | Mapping[int, "Value"]

# A credential is an array, a ticket inside a map in it with a list of pairs: three deep.
MAX_NESTING = 4
# What a JavaScript number holds exactly.
MAX_NUMBER = 2**53 - 1

# Below 24 the number is in the first byte; 24 to 27 say that 1, 2, 4 or 8 bytes follow.
_IN_FIRST_BYTE = 24
_LAST_FOLLOWED = 27


class _Kind(IntEnum):
    """The major types of section 3.1 that are used."""

    UNSIGNED = 0
    NEGATIVE = 1
    BYTES = 2
    TEXT = 3
    ARRAY = 4
    MAP = 5


def encode(value: Value) -> bytes:
    """The one encoding of a value. Raises ``ValueError`` or ``TypeError`` for what has none."""
    match value:
        case int():
            return _head(_Kind.UNSIGNED, value) if value >= 0 else _head(_Kind.NEGATIVE, -1 - value)
        case bytes():
            return _head(_Kind.BYTES, len(value)) + value
        case str():
            text = value.encode()
            return _head(_Kind.TEXT, len(text)) + text
        case Mapping():
            pairs = sorted((encode(key), encode(one)) for key, one in value.items())
            return _head(_Kind.MAP, len(pairs)) + b"".join(key + one for key, one in pairs)
        case _:
            return _head(_Kind.ARRAY, len(value)) + b"".join(encode(one) for one in value)


def decode(data: bytes) -> Value:
    """The value that exactly these bytes are.

    Raises ``PeerError`` MALFORMED. Holds no more than a few times ``data``, whatever it
    claims; the caller bounds ``data``.
    """
    reader = _Reader(data)
    value = reader.value(0)
    if reader.position != len(data):
        raise _wrong("bytes after the end of a value")
    return value


class _Reader:
    """Reads one value after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, nesting: int) -> Value:
        kind, number = self._head()
        match kind:
            case _Kind.UNSIGNED:
                return number
            case _Kind.NEGATIVE:
                return -1 - number
            case _Kind.BYTES:
                return self._take(number)
            case _Kind.TEXT:
                return self._text(number)
            case _Kind.ARRAY:
                self._check_count(number, nesting)
                return [self.value(nesting + 1) for _ in range(number)]
            case _Kind.MAP:
                self._check_count(2 * number, nesting)
                return self._map(number, nesting + 1)
        raise _wrong("a kind of value that is not used here")

    def _map(self, count: int, nesting: int) -> dict[int, Value]:
        found: dict[int, Value] = {}
        last = b""
        for _ in range(count):
            start = self.position
            key = self.value(nesting)
            encoded = self._data[start : self.position]
            if not isinstance(key, int):
                raise _wrong("a key that is not a number")
            if encoded <= last:
                raise _wrong("keys out of order, or the same one twice")
            last = encoded
            found[key] = self.value(nesting)
        return found

    def _head(self) -> tuple[int, int]:
        """The kind of the next value, and its number: itself, its length, or its count."""
        first = self._take(1)[0]
        kind, short = first >> 5, first & 0x1F
        if short < _IN_FIRST_BYTE:
            return kind, short
        if short > _LAST_FOLLOWED:
            raise _wrong("an indefinite or reserved length")
        size = 1 << short - _IN_FIRST_BYTE
        number = int.from_bytes(self._take(size), "big")
        if number < (_IN_FIRST_BYTE if size == 1 else 1 << 4 * size):
            raise _wrong("a number is not in its shortest form")
        if number > MAX_NUMBER:
            raise _wrong("a number is too large")
        return kind, number

    def _take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self._data):
            raise _wrong("a value is cut off")
        start, self.position = self.position, end
        return self._data[start:end]

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise _wrong("a text is not UTF-8") from None

    def _check_count(self, values: int, nesting: int) -> None:
        """Each value takes a byte at least."""
        if values > len(self._data) - self.position:
            raise _wrong("a value is cut off")
        if nesting == MAX_NESTING:
            raise _wrong("values nested too deep")


def _head(kind: int, number: int) -> bytes:
    if number < _IN_FIRST_BYTE:
        return bytes((kind << 5 | number,))
    if number > MAX_NUMBER:
        raise ValueError(f"{number} is too large")
    power = next(power for power in range(4) if number < 1 << (8 << power))
    return bytes((kind << 5 | _IN_FIRST_BYTE + power,)) + number.to_bytes(1 << power, "big")


def _wrong(reason: str) -> PeerError:
    return PeerError(Code.MALFORMED, reason)
