"""lib0 building blocks, read strictly: minimal varints, lengths that fit, valid UTF-8.

Every reader takes the data and a position and returns the value and the position after
it, or raises ``PeerError(Code.MALFORMED)``.
"""

from gateway.core.errors import Code, PeerError

# What a JavaScript number holds exactly; lib0 reads no more either.
MAX_VARINT = 2**53 - 1
_MAX_SHIFT = 49


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned varint in its shortest form, at most 2^53-1."""
    try:
        byte = data[position]
        if byte < 0x80:
            return byte, position + 1
        value, shift = byte & 0x7F, 7
        while True:
            position += 1
            byte = data[position]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > _MAX_SHIFT:
                raise PeerError(Code.MALFORMED, "a number is too large")
    except IndexError:
        raise PeerError(Code.MALFORMED, "a number is cut off") from None
    if byte == 0:
        raise PeerError(Code.MALFORMED, "a number is not in its shortest form")
    if value > MAX_VARINT:
        raise PeerError(Code.MALFORMED, "a number is too large")
    return value, position + 1


def read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    """A length and that many bytes."""
    length, start = read_varint(data, position)
    end = start + length
    if end > len(data):
        raise PeerError(Code.MALFORMED, "a length goes beyond the end")
    return data[start:end], end


def read_string(data: bytes, position: int) -> tuple[str, int]:
    """A length in bytes and that much UTF-8."""
    raw, end = read_bytes(data, position)
    try:
        return raw.decode(), end
    except UnicodeDecodeError:
        raise PeerError(Code.MALFORMED, "a text is not UTF-8") from None


def write_varint(value: int) -> bytes:
    """An unsigned varint. Raises ``ValueError`` outside 0 to 2^53-1."""
    if 0 <= value < 0x80:
        return value.to_bytes(1, "little")
    if not 0 <= value <= MAX_VARINT:
        raise ValueError(f"{value} is not between 0 and 2^53-1")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_bytes(value: bytes) -> bytes:
    """A length and the bytes."""
    return write_varint(len(value)) + value


def write_string(value: str) -> bytes:
    """A length in bytes and the UTF-8 of a text."""
    return write_bytes(value.encode())
