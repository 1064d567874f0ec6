"""Large updates of our own cut into several that each fit a message.

Cuts between structs; the parts hold the same structs and deletions, and merged again
they are the same update. Nothing here checks bytes: peers' updates never come here.
"""

from collections.abc import Iterator

from gateway.core.structs import Update, read_update
from gateway.core.varint import write_varint

# Head of a client's structs, delete set head: counts, client id and clock.
_HEAD_BYTES = 32
_RANGE_BYTES = 20


def split_update(update: bytes, limit: int) -> list[bytes]:
    """Valid v1 updates of at most ``limit`` bytes each, together the same as ``update``.

    A single struct above the limit stays whole.
    """
    if len(update) <= limit:
        return [update]
    parsed = read_update(update)
    return [*_struct_parts(update, parsed, limit), *_delete_parts(parsed, limit)]


def _struct_parts(update: bytes, parsed: Update, limit: int) -> Iterator[bytes]:
    # Per client of the part being filled: first clock, and the bytes of its structs.
    part: dict[int, tuple[int, list[bytes]]] = {}
    size = 0
    for struct in parsed.structs:
        raw = update[struct.first : struct.last]
        cost = len(raw) + (0 if struct.client in part else _HEAD_BYTES)
        if part and size + cost > limit - _HEAD_BYTES:
            yield _joined(part)
            part, size, cost = {}, 0, len(raw) + _HEAD_BYTES
        part.setdefault(struct.client, (struct.clock, []))[1].append(raw)
        size += cost
    if part:
        yield _joined(part)


def _joined(part: dict[int, tuple[int, list[bytes]]]) -> bytes:
    pieces = [write_varint(len(part))]
    for client, (clock, structs) in part.items():
        pieces += [write_varint(len(structs)), write_varint(client), write_varint(clock), *structs]
    return b"".join(pieces) + b"\x00"


def _delete_parts(parsed: Update, limit: int) -> Iterator[bytes]:
    most = max(1, (limit - _HEAD_BYTES) // _RANGE_BYTES)
    for client, ranges in parsed.deletes.items():
        for first in range(0, len(ranges), most):
            some = ranges[first : first + most]
            body = b"".join(write_varint(start) + write_varint(end - start) for start, end in some)
            yield b"\x00\x01" + write_varint(client) + write_varint(len(some)) + body
