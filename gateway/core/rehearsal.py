"""What it would cost the CRDT library to integrate a large update, found without it.

The library orders concurrent insertions by looking at their neighbours one by one, and
copies both halves of whatever an edit cuts in two; a few bytes can make it do either
millions of times. It also recurses once per level of nested types. So a large update is
first put in order here, as the library would do it (Yjs ``Item.integrate``), counting.

Items the update does not hold count as places without neighbours: what stands between
them in a document is not seen here.
"""

from bisect import bisect_right
from collections.abc import Iterable

from gateway.core.contents import DELETED, STRING, TYPE, refuse_big
from gateway.core.errors import Code, PeerError
from gateway.core.facts import Span
from gateway.core.limits import UNLIMITED, Limits

GC = 0

Id = tuple[int, int]
# A unit of cutting is about 4 ns: measured were 0.6 ns a character, 2.5 ns a plain value and
# 11 ns a value with text, for each copy; 7 ns a step from a key's last value to its first.
UNITS_PER_VALUE = 3
_CHARACTERS_PER_UNIT = 4
_UNITS_PER_ENTRY = 2
# Parent, a root's name or the id of the item that holds the type, and key of a map.
Place = tuple[str | Id, str | None]


class _Type:
    """A shared type: how deep it stands, its first item, per key the first and last."""

    __slots__ = ("entries", "first", "firsts", "lengths", "level")

    def __init__(self, level: int) -> None:
        self.level = level
        self.first: Piece | None = None
        self.firsts: dict[str, Piece] = {}
        self.entries: dict[str, Piece] = {}
        self.lengths: dict[str, int] = {}


class Piece:
    """A struct, or what is left of it after it was cut."""

    __slots__ = (
        "client", "clock", "deleted", "end", "key", "left", "origin", "place", "reference",
        "right", "right_origin", "within",
    )  # fmt: skip

    def __init__(
        self, client: int, clock: int, end: int, reference: int,
        origin: Id | None, right_origin: Id | None, place: Place | None,
    ) -> None:  # fmt: skip
        self.client = client
        self.clock = clock
        self.end = end
        self.reference = reference
        self.origin = origin
        self.right_origin = right_origin
        self.place = place
        self.deleted = reference in (GC, DELETED)
        self.left: Piece | None = None
        self.right: Piece | None = None
        # The type it stands in and its key there; None until it was put in order.
        self.within: _Type | None = None
        self.key: str | None = None


def rehearse(pieces: Iterable[Piece], deletes: Iterable[Span], limits: Limits) -> None:
    """Put the structs of one update in order. Raises ``PeerError`` when that costs too much.

    ``pieces``: per client in order of their clocks.
    """
    rehearsal = _Rehearsal(limits)
    rehearsal.take(pieces)
    for span in deletes:
        rehearsal.delete(span)


def deepest(pieces: Iterable[Piece]) -> int:
    """How deep shared types stand in each other; ``pieces`` as for ``rehearse``."""
    levels = _Levels(UNLIMITED)
    levels.take(pieces)
    return levels.deepest


class _Client:
    """One client's structs: those that wait, and those in order with their first clocks."""

    __slots__ = ("clocks", "next", "placed", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Piece] = []
        self.next = 0
        self.placed: list[Piece] = []
        self.clocks: list[int] = []


class _Rehearsal:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._steps = limits.order_steps
        self._units = limits.cut_units
        self._clients: dict[int, _Client] = {}
        self._types: dict[str | Id, _Type] = {}
        self._beyond: dict[Id, Piece] = {}
        self.deepest = 0

    def take(self, pieces: Iterable[Piece]) -> None:
        """Integrate the structs: higher clients first, what they build on before them."""
        clients = self._clients
        for piece in pieces:
            client = clients.get(piece.client)
            if client is None:
                client = clients[piece.client] = _Client()
            client.waiting.append(piece)
        for number in sorted(clients, reverse=True):
            client = clients[number]
            waiting = client.waiting
            while client.next < len(waiting):
                if self._lacking(waiting[client.next]) is None:
                    self._place(client, waiting[client.next])
                else:
                    self._place_with_causes(number)

    def delete(self, span: Span) -> None:
        """Delete a range, cutting what lies across its ends."""
        client = self._clients.get(span.client)
        if client is None:
            return
        index = max(0, bisect_right(client.clocks, span.start) - 1)
        while index < len(client.placed) and client.clocks[index] < span.end:
            piece = client.placed[index]
            if piece.clock < span.start < piece.end and not piece.deleted:
                self._cut(client, index, span.start)
            elif piece.end > span.start:
                if piece.end > span.end and not piece.deleted:
                    self._cut(client, index, span.end)
                piece.deleted = True
            index += 1

    def _place_with_causes(self, number: int) -> None:
        """Place a client's next struct, first whatever it lacks, without recursion."""
        clients = self._clients
        stack = [number]
        above = {number}
        while stack:
            client = clients[stack[-1]]
            lacking = self._lacking(client.waiting[client.next])
            if lacking is None:
                self._place(client, client.waiting[client.next])
                above.discard(stack.pop())
            elif lacking in above:
                raise PeerError(Code.MALFORMED, "structs wait for each other")
            else:
                stack.append(lacking)
                above.add(lacking)

    def _lacking(self, piece: Piece) -> int | None:
        """A client that has to come further before a struct can be placed."""
        parent = piece.place[0] if piece.place else None
        for named in (piece.origin, piece.right_origin, parent):
            if isinstance(named, tuple):
                lacking = self._waits_for(piece, named)
                if lacking is not None:
                    return lacking
        return None

    def _waits_for(self, piece: Piece, named: Id) -> int | None:
        number, clock = named
        if number == piece.client:
            return None
        client = self._clients.get(number)
        if client is None or client.next == len(client.waiting):
            return None
        if client.waiting[client.next].clock <= clock < client.waiting[-1].end:
            return number
        return None

    def _place(self, client: _Client, piece: Piece) -> None:
        client.next += 1
        client.placed.append(piece)
        client.clocks.append(piece.clock)
        if piece.reference == GC:
            return
        left = self._ending(piece.origin) if piece.origin else None
        right = self._starting(piece.right_origin) if piece.right_origin else None
        if piece.place is not None:
            parent, piece.key = piece.place
            piece.within = self._type(parent)
        elif left is not None:
            piece.within, piece.key = left.within, left.key
        elif right is not None:
            piece.within, piece.key = right.within, right.key
        if piece.within is None:
            piece.within = _Type(0)
        if piece.reference == TYPE:
            self._nest(piece, piece.within)
        self._link(piece, piece.within, left, right)

    def _type(self, parent: str | Id) -> _Type:
        found = self._types.get(parent)
        if found is None:
            found = self._types[parent] = _Type(0)
        return found

    def _nest(self, piece: Piece, within: _Type) -> None:
        level = within.level + 1
        if level > self._limits.nesting:
            refuse_big(f"shared types nested deeper than {self._limits.nesting}")
        self._types[piece.client, piece.clock] = _Type(level)
        self.deepest = max(self.deepest, level)

    def _link(self, piece: Piece, within: _Type, left: Piece | None, right: Piece | None) -> None:
        key = piece.key
        first = within.first if key is None else within.firsts.get(key)
        if left is not None:
            competing = left.right is not right
        else:
            competing = right is None or right.left is not None
        if competing:
            if left is None and key is not None:
                # The library walks from a key's last value to its first.
                self._pay_units(_UNITS_PER_ENTRY * within.lengths.get(key, 0))
            left = self._ordered(piece, left, left.right if left else first, right)
        piece.left = left
        if left is None:
            piece.right = first
            if key is None:
                within.first = piece
            else:
                within.firsts[key] = piece
        else:
            piece.right = left.right
            left.right = piece
        if piece.right is not None:
            piece.right.left = piece
        if key is not None:
            self._set_entry(piece, within, key)

    def _set_entry(self, piece: Piece, within: _Type, key: str) -> None:
        within.lengths[key] = within.lengths.get(key, 0) + 1
        if piece.right is None:
            within.entries[key] = piece
            if piece.left is not None:
                piece.left.deleted = True

    def _ordered(
        self, piece: Piece, left: Piece | None, other: Piece | None, right: Piece | None
    ) -> Piece | None:
        """The item behind which a struct belongs among those that compete with it."""
        competing: set[Piece] = set()
        seen: set[Piece] = set()
        origin, right_origin, client = piece.origin, piece.right_origin, piece.client
        steps = self._steps
        while other is not None and other is not right:
            steps -= 1
            if steps < 0:
                refuse_big("an update that costs too much to put in order")
            seen.add(other)
            competing.add(other)
            if other.origin == origin:
                if other.client < client:
                    left = other
                    competing.clear()
                elif other.right_origin == right_origin:
                    break
            else:
                before = self._holding(other.origin) if other.origin else None
                if before is None or before not in seen:
                    break
                if before not in competing:
                    left = other
                    competing.clear()
            other = other.right
        self._steps = steps
        return left

    def _holding(self, named: Id) -> Piece | None:
        """The item that holds an id."""
        found = self._find(named)
        if found is None:
            return self._beyond.get(named)
        piece = found[0].placed[found[1]]
        return None if piece.reference == GC else piece

    def _ending(self, named: Id) -> Piece | None:
        """The item that ends with an id, cut to it."""
        found = self._find(named)
        if found is None:
            return self._elsewhere(named)
        client, index = found
        piece = client.placed[index]
        if piece.reference == GC:
            return None
        if named[1] + 1 < piece.end:
            self._cut(client, index, named[1] + 1)
        return piece

    def _starting(self, named: Id) -> Piece | None:
        """The item that starts with an id, cut to it."""
        found = self._find(named)
        if found is None:
            return self._elsewhere(named)
        client, index = found
        piece = client.placed[index]
        if piece.reference == GC:
            return None
        return piece if piece.clock == named[1] else self._cut(client, index, named[1])

    def _find(self, named: Id) -> tuple[_Client, int] | None:
        client = self._clients.get(named[0])
        if client is None:
            return None
        index = bisect_right(client.clocks, named[1]) - 1
        if index < 0 or named[1] >= client.placed[index].end:
            return None
        return client, index

    def _elsewhere(self, named: Id) -> Piece:
        """An item the update does not hold."""
        piece = self._beyond.get(named)
        if piece is None:
            piece = Piece(named[0], named[1], named[1] + 1, DELETED, None, None, None)
            self._beyond[named] = piece
        return piece

    def _cut(self, client: _Client, index: int, clock: int) -> Piece:
        """Cut a piece in two; returns the second."""
        piece = client.placed[index]
        units = piece.end - piece.clock
        if piece.reference == STRING:
            units //= _CHARACTERS_PER_UNIT
        else:
            units *= UNITS_PER_VALUE
        self._pay_units(units + len(client.placed) - index)
        rest = Piece(
            piece.client, clock, piece.end, piece.reference,
            (piece.client, clock - 1), piece.right_origin, None,
        )  # fmt: skip
        rest.deleted, rest.within, rest.key = piece.deleted, piece.within, piece.key
        piece.end = clock
        rest.left, rest.right = piece, piece.right
        if rest.right is not None:
            rest.right.left = rest
        elif rest.key is not None and rest.within is not None:
            rest.within.entries[rest.key] = rest
        piece.right = rest
        client.placed.insert(index + 1, rest)
        client.clocks.insert(index + 1, clock)
        return rest

    def _pay_units(self, units: int) -> None:
        self._units -= units
        if self._units < 0:
            refuse_big("an update that costs too much to cut")


class _Levels(_Rehearsal):
    """Only finds out what stands in what, and puts nothing in order."""

    def _link(self, piece: Piece, within: _Type, left: Piece | None, right: Piece | None) -> None:
        pass
