"""Batches: how records share one link message (docs/protocol.md section 2)."""

from collections.abc import Iterable, Iterator

from gateway.core.errors import Code, PeerError
from gateway.core.varint import read_varint, write_varint

# One link message; what every browser, BLE reassembly and the guard are sized for.
MESSAGE_BYTES = 262_144
# A batch of empty records would otherwise cost 256 k decodes.
MAX_RECORDS = 4_096


def frame(record: bytes) -> bytes:
    """One record with its length, ready to be joined into a batch."""
    return write_varint(len(record)) + record


def batches(framed: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Join framed records into as few messages of at most ``limit`` bytes as order allows.

    A record that is larger than the limit by itself travels alone.
    """
    parts: list[bytes] = []
    size = 0
    for part in framed:
        if parts and (size + len(part) > limit or len(parts) == MAX_RECORDS):
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield b"".join(parts)


def records(batch: bytes) -> list[bytes]:
    """The records of a batch, each type and body.

    Raises ``PeerError``: MALFORMED for an empty batch, an empty record, a length beyond
    the end or too many records.
    """
    found: list[bytes] = []
    position, end = 0, len(batch)
    while position < end:
        length, position = read_varint(batch, position)
        if length == 0 or length > end - position:
            raise PeerError(Code.MALFORMED, "a record's length does not fit its message")
        found.append(batch[position : position + length])
        position += length
        if len(found) > MAX_RECORDS:
            raise PeerError(Code.MALFORMED, f"more than {MAX_RECORDS} records in one message")
    if not found:
        raise PeerError(Code.MALFORMED, "an empty message")
    return found
