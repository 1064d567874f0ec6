"""The fingerprint: equal when two replicas hold the same structs and the same deletions.

A state vector does not move when something is deleted, so the fingerprint covers the
delete set too. It does not depend on the order in which updates arrived, on how a
library cut its structs, nor on what was garbage collected.

The canonical bytes, all numbers lib0 unsigned varints::

    count of clients
    for each client, ascending by number:
        client
        clock                   the first clock of this client that is not known
        count of ranges         what is deleted (or collected) of this client
        for each range, ascending, merged wherever two touch or overlap:
            first clock
            count of clocks

Clients with clock 0 are left out, and so is whatever waits for something missing. The
fingerprint is the first 16 bytes of the SHA-256 of these bytes: a browser has it without
a library, and lib0 has it synchronously (``lib0/hash/sha256``).
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from gateway.core.varint import read_varint, write_varint

# Half of SHA-256: collisions need about 2^64 tries, and 10,000 documents are 160 kB.
FINGERPRINT_BYTES = 16

Ranges = list[tuple[int, int]]


def fingerprint(canonical_bytes: bytes) -> bytes:
    """The fingerprint of canonical bytes."""
    return sha256(canonical_bytes).digest()[:FINGERPRINT_BYTES]


def canonical(clocks: Mapping[int, int], deletes: Mapping[int, Iterable[tuple[int, int]]]) -> bytes:
    """The canonical bytes of a state.

    ``clocks``: the state vector. ``deletes``: per client ranges of deleted clocks as
    (first, one past the last), in any order, overlapping or not.
    """
    known = sorted((client, clock) for client, clock in clocks.items() if clock)
    numbers = [len(known)]
    for client, clock in known:
        ranges = merged(deletes.get(client, ()))
        numbers += (client, clock, len(ranges))
        for start, end in ranges:
            numbers += (start, end - start)
    return write_varints(numbers)


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same clocks as ascending ranges that neither touch nor overlap."""
    result: Ranges = []
    last = -1
    for start, end in sorted(ranges):
        if start <= last:
            last = max(last, end)
            result[-1] = (result[-1][0], last)
        else:
            result.append((start, end))
            last = end
    return result


def write_varints(numbers: Iterable[int]) -> bytes:
    """Unsigned varints one after the other."""
    return b"".join([_SHORT[n] if n < _SHORTS else write_varint(n) for n in numbers])


def read_state_vector(data: bytes, position: int = 0) -> tuple[dict[int, int], int]:
    """An encoded state vector and the position after it. Raises ``PeerError``."""
    count, position = read_varint(data, position)
    clocks = {}
    for _ in range(count):
        client, position = read_varint(data, position)
        clocks[client], position = read_varint(data, position)
    return clocks, position


def read_delete_set(data: bytes, position: int = 0) -> tuple[dict[int, Ranges], int]:
    """An encoded delete set, as ranges (first, one past the last), and the position after it.

    Raises ``PeerError``.
    """
    clients, position = read_varint(data, position)
    deletes: dict[int, Ranges] = {}
    for _ in range(clients):
        client, position = read_varint(data, position)
        count, position = read_varint(data, position)
        ranges = deletes.setdefault(client, [])
        for _ in range(count):
            start, position = read_varint(data, position)
            length, position = read_varint(data, position)
            ranges.append((start, start + length))
    return deletes, position


def write_delete_set(deletes: Mapping[int, Ranges]) -> bytes:
    """The encoded delete set of these ranges."""
    numbers = [len(deletes)]
    for client, ranges in deletes.items():
        numbers += (client, len(ranges))
        for start, end in ranges:
            numbers += (start, end - start)
    return write_varints(numbers)


# Two-byte varints too: most lengths and clocks of a document are this small.
_SHORTS = 16_384
_SHORT = [write_varint(number) for number in range(_SHORTS)]
