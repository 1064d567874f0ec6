"""Mutations of genuine updates: of their bytes, of their numbers, of their structs."""

import random
from collections.abc import Callable, Sequence

from gateway.core.errors import PeerError
from gateway.core.structs import Struct, read_update
from gateway.core.varint import MAX_VARINT, write_varint
from tests.fuzz.shapes import update as build

Mutation = Callable[[random.Random, bytes, bytes], bytes]

NUMBERS = (
    0, 1, 2, 3, 7, 63, 64, 127, 128, 255, 256, 16_383, 16_384, 65_535, 2**31 - 2, 2**31 - 1, 2**31,
    2**32 - 10, 2**32 - 1, 2**32, MAX_VARINT,
)  # fmt: skip
INFOS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x21, 0x28, 0x44, 0x84, 0x88, 0xC4, 0xC8)


def mutant(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """One to three mutations of ``data``; ``other`` lends what is spliced in."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(MUTATIONS)(chance, data, other)
    return data


def bit_flips(data: bytes) -> list[bytes]:
    """All mutants with one bit flipped."""
    return [
        data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        for at in range(len(data))
        for bit in range(8)
    ]


def truncations(data: bytes) -> list[bytes]:
    """All strict beginnings."""
    return [data[:end] for end in range(len(data))]


def _place(chance: random.Random, data: bytes) -> int:
    return chance.randrange(len(data)) if data else 0


def _flip(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at = _place(chance, data)
    return (
        data[:at]
        + bytes(byte ^ 1 << chance.randrange(8) for byte in data[at : at + 1])
        + data[at + 1 :]
    )


def _byte(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at = _place(chance, data)
    return data[:at] + bytes([chance.choice((chance.randrange(256), *INFOS))]) + data[at + 1 :]


def _cut(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at = _place(chance, data)
    return data[:at] + data[at + chance.randint(1, 8) :]


def _truncate(chance: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: _place(chance, data)]


def _repeat(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at = _place(chance, data)
    return data[: at + chance.randint(1, 16)] + data[at:]


def _splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at, start = _place(chance, data), _place(chance, other)
    return data[:at] + other[start : start + chance.randint(1, 24)] + data[at:]


def _swap(chance: random.Random, data: bytes, _: bytes) -> bytes:
    first, second, third = sorted(_place(chance, data) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _number(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """Put another varint in the place of a byte or of the varint that starts there."""
    at = _place(chance, data)
    end = at + 1
    while end < len(data) and data[end - 1] & 0x80:
        end += 1
    if chance.random() < 0.5:
        value = chance.choice(NUMBERS)
    else:
        value = (data[at] if at < len(data) else 0) + chance.choice((-1, 1, 2, 5))
    return data[:at] + write_varint(max(0, value)) + data[end:]


def _longer(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """A varint in a form that is not its shortest."""
    at = _place(chance, data)
    return data[:at] + bytes(byte | 0x80 for byte in data[at : at + 1]) + b"\x00" + data[at + 1 :]


def _structs(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Structs dropped, doubled, swapped, lent, moved to other clients and clocks."""
    groups = _groups(data)
    if not groups:
        return data
    lent = [raw for _, _, raws in _groups(other) for raw in raws]
    client, clock, structs = chance.choice(groups)
    at = chance.randrange(len(structs))
    match chance.randrange(7):
        case 0:
            del structs[at]
        case 1:
            structs.insert(at, chance.choice(structs))
        case 2 if lent:
            structs[at] = chance.choice(lent)
        case 3:
            structs.insert(
                at, chance.choice((b"\x00", b"\x0a")) + write_varint(chance.choice(NUMBERS))
            )
        case 4:
            chance.shuffle(structs)
        case 5:
            client = chance.choice(groups)[0] if chance.random() < 0.7 else chance.choice(NUMBERS)
        case _:
            clock = max(0, clock + chance.choice((-2, -1, 1, 2, 100)))
    changed = [(c, k, s) for c, k, s in groups if s is not structs and c != client]
    return build([*changed, (client, clock, structs)], _deletes(data))


def _ids(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """One struct's origin, right origin or parent names something else in the update."""
    groups = _groups(data)
    named = [struct for struct in _read(data) if struct.origin or struct.right_origin]
    if not named:
        return data
    struct = chance.choice(named)
    old = struct.origin or struct.right_origin
    assert old is not None
    client = chance.choice(groups)[0] if chance.random() < 0.6 else old[0]
    clock = max(0, chance.choice((old[1] + chance.choice((-3, -1, 1, 2)), chance.randrange(30))))
    raw = data[struct.first : struct.last]
    before = write_varint(old[0]) + write_varint(old[1])
    after = write_varint(client) + write_varint(clock)
    return data[: struct.first] + raw.replace(before, after, 1) + data[struct.last :]


def _deletions(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """Other deletions of what the update itself holds."""
    groups = _groups(data)
    deletes = []
    for client, clock, _structs_of in groups:
        start = clock + chance.randrange(12)
        deletes.append((client, [(start, chance.choice((1, 2, 5, 300)))]))
    return build(groups, deletes)


def _read(data: bytes) -> Sequence[Struct]:
    try:
        return read_update(data).structs
    except PeerError:
        return []


def _groups(data: bytes) -> list[tuple[int, int, list[bytes]]]:
    """Per client its first clock and the bytes of its structs; empty if it is no update."""
    groups: dict[int, tuple[int, list[bytes]]] = {}
    for struct in _read(data):
        raws = groups.setdefault(struct.client, (struct.clock, []))[1]
        raws.append(data[struct.first : struct.last])
    return [(client, clock, raws) for client, (clock, raws) in groups.items()]


def _deletes(data: bytes) -> list[tuple[int, list[tuple[int, int]]]]:
    ranges = read_update(data).deletes.items()
    return [(client, [(start, end - start) for start, end in spans]) for client, spans in ranges]


MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _byte, _byte, _cut, _truncate, _repeat, _splice, _swap, _number, _number,
    _longer, _structs, _structs, _structs, _ids, _ids, _ids, _deletions,
)  # fmt: skip
