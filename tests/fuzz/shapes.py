"""Messages made to cost as much as their bytes can: each is what the caps must bound.

Every shape is a structurally valid Yjs v1 update that grows with ``count``.
"""

from collections.abc import Iterable

from gateway.core.varint import write_string, write_varint

# Struct heads: content reference and which neighbours are named (Yjs ``Item.write``).
_STRING, _EMBED, _FORMAT, _TYPE, _ANY, _GC, _DELETED = 4, 5, 6, 7, 8, 0, 1
_ORIGIN, _RIGHT, _SUB = 0x80, 0x40, 0x20
_ROOT = b"\x01\x01a"
_ARRAY, _MAP = b"\x00", b"\x01"

Id = tuple[int, int]


def item(
    content: int,
    body: bytes,
    *,
    origin: Id | None = None,
    right: Id | None = None,
    parent: bytes = _ROOT,
    key: str | None = None,
) -> bytes:
    """One item; ``parent`` is written only when no neighbour is named, as Yjs does."""
    info = content | (_ORIGIN if origin else 0) | (_RIGHT if right else 0)
    named = b"".join(identity(one) for one in (origin, right) if one)
    if origin or right:
        return bytes([info]) + named + body
    if key is None:
        return bytes([info]) + parent + body
    return bytes([info | _SUB]) + parent + write_string(key) + body


def identity(one: Id) -> bytes:
    """Client and clock."""
    return write_varint(one[0]) + write_varint(one[1])


def child_of(one: Id) -> bytes:
    """An item as parent."""
    return b"\x00" + identity(one)


def text(characters: str) -> bytes:
    """The body of a string."""
    return write_string(characters)


def update(
    clients: Iterable[tuple[int, int, list[bytes]]],
    deletes: Iterable[tuple[int, list[tuple[int, int]]]] = (),
) -> bytes:
    """An update of (client, first clock, structs) and (client, [(start, length)])."""
    clients, deletes = list(clients), list(deletes)
    parts = [write_varint(len(clients))]
    for client, clock, structs in clients:
        parts += (write_varint(len(structs)), identity((client, clock)), *structs)
    parts.append(write_varint(len(deletes)))
    for client, ranges in deletes:
        parts += (write_varint(client), write_varint(len(ranges)))
        parts += [write_varint(number) for span in ranges for number in span]
    return b"".join(parts)


def one_character_structs(count: int) -> bytes:
    """A text of many structs that cannot be joined."""
    structs = [item(_STRING, text("x"))]
    structs += [item(_STRING, text("x"), right=(1, clock)) for clock in range(count - 1)]
    return update([(1, 0, structs)])


def same_place(count: int) -> bytes:
    """One client inserts again and again at the start of the same root."""
    return update([(1, 0, [item(_STRING, text("x"))] * count)])


def same_origin(count: int) -> bytes:
    """One client inserts again and again behind the same character."""
    first = item(_STRING, text("x"))
    return update([(1, 0, [first, *[item(_STRING, text("x"), origin=(1, 0))] * count])])


def same_right(count: int) -> bytes:
    """One client inserts again and again before the same character."""
    first = item(_STRING, text("x"))
    return update([(1, 0, [first, *[item(_STRING, text("x"), right=(1, 0))] * count])])


def crossing_rights(count: int) -> bytes:
    """The same origin with ever other right neighbours: every insert looks at all others."""
    first = [item(_STRING, text("x" * (count + 1)))]
    more = [
        item(_STRING, text("y"), origin=(1, 0), right=(1, count - number))
        for number in range(count)
    ]
    return update([(1, 0, first + more)])


def crossing_rights_up(count: int) -> bytes:
    """As before, the right neighbours ascending."""
    first = [item(_STRING, text("x" * (count + 2)))]
    more = [
        item(_STRING, text("y"), origin=(1, 0), right=(1, 1 + number)) for number in range(count)
    ]
    return update([(1, 0, first + more)])


def no_origin_rights(count: int) -> bytes:
    """No origin and ever other right neighbours."""
    first = [item(_STRING, text("x" * (count + 2)))]
    more = [item(_STRING, text("y"), right=(1, 1 + number)) for number in range(count)]
    return update([(1, 0, first + more)])


def client_stairs(count: int) -> bytes:
    """Ascending clients insert at one place, each needing the one before it first."""
    clients = []
    for client in range(1, count + 1):
        structs = [item(_STRING, text("x"))]
        if client > 1:
            # A first struct elsewhere, behind the client before: it has to go first.
            structs.insert(0, item(_STRING, text("z"), origin=(client - 1, 0)))
        clients.append((client, 0, structs))
    return update(reversed(clients))


def client_chain(count: int) -> bytes:
    """Each client's only struct stands behind that of another: the stack grows with them."""
    clients = [(1, 0, [item(_STRING, text("x"))])]
    clients += [
        (client, 0, [item(_STRING, text("x"), origin=(client - 1, 0))])
        for client in range(2, count + 1)
    ]
    return update(reversed(clients))


def cut_up(count: int) -> bytes:
    """A long text of which every other character is deleted."""
    ranges = [(2 * number, 1) for number in range(count)]
    return update([(1, 0, [item(_STRING, text("x" * 2 * count))])], [(1, ranges)])


def cut_by_origins(count: int) -> bytes:
    """A long text cut from its end to its start by what is inserted."""
    first = [item(_STRING, text("x" * (count + 1)))]
    more = [
        item(_STRING, text("y"), origin=(1, count - number - 1), right=(1, count - number))
        for number in range(count)
    ]
    return update([(1, 0, first + more)])


def cut_values(count: int) -> bytes:
    """The same with a long array of values."""
    body = write_varint(2 * count) + b"\x7f" * (2 * count)
    return update([(1, 0, [item(_ANY, body)])], [(1, [(2 * n, 1) for n in range(count)])])


def nested_types(count: int) -> bytes:
    """Arrays in arrays."""
    structs = [item(_TYPE, _ARRAY)]
    structs += [item(_TYPE, _ARRAY, parent=child_of((1, clock))) for clock in range(count - 1)]
    return update([(1, 0, structs)])


def nested_types_deleted(count: int) -> bytes:
    """Arrays in arrays, all deleted by the outermost."""
    return nested_types(count)[:-1] + b"\x01\x01\x01\x00\x01"


def map_overwrites(count: int) -> bytes:
    """One key of a map written again and again."""
    body = b"\x01\x7f"
    structs = [item(_ANY, body, key="k")]
    structs += [item(_ANY, body, origin=(1, clock)) for clock in range(count - 1)]
    return update([(1, 0, structs)])


def map_rivals(count: int) -> bytes:
    """One key of a map written by many who do not know of each other."""
    return update([(1, 0, [item(_ANY, b"\x01\x7f", key="k")] * count)])


def map_keys(count: int) -> bytes:
    """A map of many keys."""
    return update([(1, 0, [item(_ANY, b"\x01\x7f", key=f"{n:x}") for n in range(count)])])


def small_maps(count: int) -> bytes:
    """Values that are maps of one entry."""
    return update([(1, 0, [item(_ANY, write_varint(count) + b"\x76\x01\x01k\x7f" * count)])])


def wide_map(count: int) -> bytes:
    """One value that is a map of many entries."""
    entries = b"".join(write_string(f"{number:x}") + b"\x7f" for number in range(count))
    return update([(1, 0, [item(_ANY, b"\x01\x76" + write_varint(count) + entries)])])


def small_arrays(count: int) -> bytes:
    """Values that are empty arrays."""
    return update([(1, 0, [item(_ANY, write_varint(count) + b"\x75\x00" * count)])])


def one_byte_values(count: int) -> bytes:
    """Values of one byte."""
    return update([(1, 0, [item(_ANY, write_varint(count) + b"\x7f" * count)])])


def empty_strings(count: int) -> bytes:
    """Values that are empty strings."""
    return update([(1, 0, [item(_ANY, write_varint(count) + b"\x77\x00" * count)])])


def format_marks(count: int) -> bytes:
    """Formatting that starts and never ends."""
    structs = [item(_FORMAT, write_string("b") + write_string("1"))]
    structs += [
        item(_FORMAT, write_string("b") + write_string("1"), origin=(1, clock))
        for clock in range(count - 1)
    ]
    return update([(1, 0, structs)])


def embedded_json(count: int) -> bytes:
    """One embedded JSON text of many empty arrays."""
    return update([(1, 0, [item(_EMBED, write_string("[" + ",".join(["[]"] * count) + "]"))])])


def json_numbers(count: int) -> bytes:
    """One embedded JSON text of many digits."""
    return update([(1, 0, [item(_EMBED, write_string("1" * count))])])


def json_escapes(count: int) -> bytes:
    """One embedded JSON text of quotes and escapes."""
    return update([(1, 0, [item(_EMBED, write_string('["' + '\\"' * count + '"]'))])])


def json_strings(count: int) -> bytes:
    """One embedded JSON text with brackets within strings."""
    return update([(1, 0, [item(_EMBED, write_string("[" + '"[",' * count + "1]"))])])


def many_clients(count: int) -> bytes:
    """Every struct from another client."""
    return update([(2**52 + n, 0, [item(_STRING, text("x"))]) for n in range(count)])


def many_roots(count: int) -> bytes:
    """Every struct in another root."""
    parents = [b"\x01" + write_string(f"{number:x}") for number in range(count)]
    return update([(1, 0, [item(_ANY, b"\x01\x7f", parent=parent) for parent in parents])])


def collected(count: int) -> bytes:
    """Nothing but garbage-collected structs of one clock."""
    return update([(1, 0, [b"\x00\x01"] * count)])


def deleted_structs(count: int) -> bytes:
    """Deleted items of one clock each."""
    first = item(_DELETED, b"\x01")
    more = [item(_DELETED, b"\x01", right=(1, clock)) for clock in range(count - 1)]
    return update([(1, 0, [first, *more])])


def delete_ranges(count: int) -> bytes:
    """Deletes of what is not there."""
    return update([], [(1, [(2 * number, 1) for number in range(count)])])


def delete_clients(count: int) -> bytes:
    """Deletes of many clients that are not there."""
    return update([], [(client, [(0, 1)]) for client in range(1, count + 1)])


def deleted_one_by_one(count: int) -> bytes:
    """Many structs, each deleted by a range of its own, backwards in the text."""
    first = one_character_structs(count)[:-1]
    return first + update([], [(1, [(clock, 1) for clock in range(0, count, 2)])])[1:]


def rivals_of_a_long_history(count: int) -> bytes:
    """A key written very often, then by many who do not know of that."""
    body = b"\x01\x7f"
    structs = [item(_ANY, body, key="k")]
    structs += [item(_ANY, body, origin=(1, clock)) for clock in range(count - 1)]
    structs += [item(_ANY, body, key="k")] * (count // 20)
    return update([(1, 0, structs)])


def cut_emoji(count: int) -> bytes:
    """A text beyond ASCII of which every other character is deleted."""
    ranges = [(4 * number, 2) for number in range(count)]
    return update([(1, 0, [item(_STRING, text("😀" * 2 * count))])], [(1, ranges)])


def cut_strings(count: int) -> bytes:
    """An array of strings of which every other one is deleted."""
    body = write_varint(2 * count) + b"\x77\x01x" * (2 * count)
    return update([(1, 0, [item(_ANY, body)])], [(1, [(2 * n, 1) for n in range(count)])])


def long_text_few_cuts(count: int) -> bytes:
    """The longest text of a message, cut a thousand times."""
    first = [item(_STRING, text("x" * count))]
    more = [
        item(_STRING, text("y"), origin=(1, count - 2 - n)) for n in range(min(950, count // 2))
    ]
    return update([(1, 0, first + more)])


def small_embeds(count: int) -> bytes:
    """Many small JSON texts."""
    body = write_string('{"a":[1]}')
    structs = [item(_EMBED, body)]
    structs += [item(_EMBED, body, origin=(1, clock)) for clock in range(count - 1)]
    return update([(1, 0, structs)])


def values_nested(count: int) -> bytes:
    """Arrays nested to the limit, again and again."""
    return update(
        [(1, 0, [item(_ANY, write_varint(count) + (b"\x75\x01" * 30 + b"\x7f") * count)])]
    )


def colliding_clients(count: int) -> bytes:
    """Client ids that differ only in their highest bits."""
    return update([((number << 30) + 1, 0, [item(_STRING, text("x"))]) for number in range(count)])


def marks_and_crossings(count: int) -> bytes:
    """As many structs as fit, some of which cost much to order."""
    marks = [item(_FORMAT, write_string("b") + write_string("1"))]
    marks += [
        item(_FORMAT, write_string("b") + write_string("1"), origin=(2, clock))
        for clock in range(count - 1)
    ]
    few = min(count, 760)
    crossing = [item(_STRING, text("x" * (few + 2)))]
    crossing += [item(_STRING, text("y"), right=(1, 1 + number)) for number in range(few)]
    return update([(2, 0, marks), (1, 0, crossing)])
