"""The walk over one Yjs v1 update: iterative, every count and length checked before use.

Layouts: Yjs ``readClientsStructRefs``, ``Item.read`` and ``readDeleteSet``.
"""

from bisect import bisect_right

from gateway.core.contents import CONTENTS, DELETED, TYPE, cut_off, read_text, refuse_big
from gateway.core.errors import Code, PeerError
from gateway.core.facts import Span
from gateway.core.limits import UNLIMITED, Limits
from gateway.core.rehearsal import GC, UNITS_PER_VALUE, Id, Piece, Place, deepest, rehearse
from gateway.core.varint import MAX_VARINT, read_varint

_SKIP = 10
_REFERENCE = 0x1F
_HAS_ORIGIN, _HAS_RIGHT_ORIGIN, _HAS_PARENT_SUB = 0x80, 0x40, 0x20
_ORIGINS = _HAS_ORIGIN | _HAS_RIGHT_ORIGIN
# Up to here no order of structs takes the library more than 65 ms (measured: 500,000 pairs).
_REHEARSED_STRUCTS = 1_000
# Types nested to the limit take more bytes than this, so a smaller update needs no rehearsal.
_SMALL_BYTES = 150


def deepest_nesting(state: bytes) -> int:
    """How deep shared types stand in each other in a state this device encoded.

    The library recurses once per level when it deletes: from about 30,000 levels on that
    ends the process (8 MB of stack, measured).
    """
    walk = Walk(state, UNLIMITED)
    walk.read()
    return deepest(walk.pieces or ())


def judge_state(state: bytes, limits: Limits) -> None:
    """See that the library can integrate all that a document holds within ``limits``.

    Raises ``PeerError`` TOO_BIG, and MALFORMED for structs that wait for each other.
    """
    walk = Walk(state, UNLIMITED)
    walk.read()
    if walk.pieces is not None and walk.structs > _REHEARSED_STRUCTS:
        rehearse(walk.pieces, walk.deletes, limits)


class Walk:
    """What one update holds. ``whole`` walks; the attributes are then complete."""

    __slots__ = (
        "_data", "_gone", "_limits", "_parents", "_position", "_types", "deletes", "needs",
        "nested", "pieces", "roots", "spans", "structs",
    )  # fmt: skip

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._position = 0
        self.structs = 0
        self.nested = 0
        self.spans: list[Span] = []
        self.deletes: list[Span] = []
        self.needs: dict[int, int] = {}
        self.roots: set[str] = set()
        self._types: set[Id] = set()
        self._parents: set[Id] = set()
        # Of each client what is garbage collected or deleted, in order.
        self._gone: dict[int, list[tuple[int, int]]] = {}
        self.pieces: list[Piece] | None = [] if len(data) > _SMALL_BYTES else None

    def whole(self) -> None:
        """Walk the whole update and judge its cost. Raises ``PeerError``."""
        self.read()
        if self._parents - self._types:
            self._check_parents()
        if self.pieces is not None and self._may_cost():
            rehearse(self.pieces, self.deletes, self._limits)

    def read(self) -> None:
        """Walk the whole update. Raises ``PeerError``."""
        try:
            self._all_structs()
            self._delete_set()
        except IndexError:
            raise cut_off() from None
        if self._position != len(self._data):
            raise PeerError(Code.MALFORMED, "an update has bytes after its end")

    def _number(self) -> int:
        number, self._position = read_varint(self._data, self._position)
        return number

    def _counted(self, least: int, most: int, what: str) -> int:
        """A count of things of at least ``least`` bytes each."""
        count = self._number()
        if least * count > len(self._data) - self._position:
            raise cut_off()
        if count > most:
            refuse_big(f"more than {most} {what}")
        return count

    def _all_structs(self) -> None:
        limits = self._limits
        seen: set[int] = set()
        for _ in range(self._counted(5, limits.clients, "clients")):
            count = self._counted(2, limits.structs - self.structs, "structs")
            client, clock = self._number(), self._number()
            if not count or client in seen:
                raise PeerError(Code.MALFORMED, "a client's structs are empty or come twice")
            seen.add(client)
            self.structs += count
            self._client_structs(client, clock, count)

    def _client_structs(self, client: int, clock: int, count: int) -> None:
        data, limits, most = self._data, self._limits, self._limits.clock
        pieces = self.pieces
        position = self._position
        start = clock
        for _ in range(count):
            info = data[position]
            position += 1
            origin = right = place = None
            reference = info & _REFERENCE
            read = CONTENTS.get(reference)
            if read is not None:
                origin, right, place, position = self._neighbours(client, clock, info, position)
                length, position = read(data, position, limits)
            elif info in (GC, _SKIP):
                length, position = read_varint(data, position)
            else:
                raise PeerError(Code.MALFORMED, "a struct of a kind that is not taken")
            end = clock + length
            if end == clock or end > most:
                raise PeerError(Code.MALFORMED, "a struct's length is out of bounds")
            if reference == TYPE:
                self._types.add((client, clock))
                self.nested += place is None or place[0].__class__ is not str
            elif reference in (GC, DELETED):
                self._gone.setdefault(client, []).append((clock, end))
            elif reference == _SKIP and clock > start:
                self.spans.append(Span(client, start, clock))
            if reference == _SKIP:
                start = end
            elif pieces is not None:
                pieces.append(Piece(client, clock, end, reference, origin, right, place))
            clock = end
        if clock > start:
            self.spans.append(Span(client, start, clock))
        self._position = position

    def _neighbours(
        self, client: int, clock: int, info: int, position: int
    ) -> tuple[Id | None, Id | None, Place | None, int]:
        """Origin, right origin and, if it has neither, place of an item."""
        origin = right = None
        if info & _ORIGINS:
            if info & _HAS_ORIGIN:
                origin, position = self._id(client, clock, position)
            if info & _HAS_RIGHT_ORIGIN:
                right, position = self._id(client, clock, position)
            return origin, right, None, position
        data, limits = self._data, self._limits
        parent: str | Id
        named = data[position]
        if named == 1:
            parent, position = read_text(data, position + 1, limits.root_name_bytes)
            self.roots.add(parent)
            if len(self.roots) > limits.roots:
                refuse_big(f"more than {limits.roots} roots")
        elif named == 0:
            parent, position = self._id(client, clock, position + 1)
            self._parents.add(parent)
        else:
            raise PeerError(Code.MALFORMED, "a parent is neither a root nor an item")
        key = None
        if info & _HAS_PARENT_SUB:
            key, position = read_text(data, position, limits.key_bytes)
        return None, None, (parent, key), position

    def _id(self, client: int, clock: int, position: int) -> tuple[Id, int]:
        named, position = read_varint(self._data, position)
        at, position = read_varint(self._data, position)
        if at >= self._limits.clock or (at >= clock and named == client):
            raise PeerError(Code.MALFORMED, "an item names what cannot be there yet")
        if at >= self.needs.get(named, 0):
            self.needs[named] = at + 1
        return (named, at), position

    def _delete_set(self) -> None:
        limits, needs = self._limits, self.needs
        seen: set[int] = set()
        for _ in range(self._counted(4, limits.clients, "clients")):
            client = self._number()
            count = self._counted(2, limits.delete_ranges - len(self.deletes), "deleted ranges")
            if not count or client in seen:
                raise PeerError(Code.MALFORMED, "a client's deletions are empty or come twice")
            seen.add(client)
            end = self._ranges(client, count)
            if end > needs.get(client, 0):
                needs[client] = end

    def _ranges(self, client: int, count: int) -> int:
        data, most, deletes = self._data, self._limits.clock, self.deletes
        position, end = self._position, 0
        for _ in range(count):
            start, position = read_varint(data, position)
            length, position = read_varint(data, position)
            if start < end or not length:
                raise PeerError(Code.MALFORMED, "deleted ranges overlap or are empty")
            end = start + length
            if end > most:
                raise PeerError(Code.MALFORMED, "a deleted range is out of bounds")
            deletes.append(Span(client, start, end))
        self._position = position
        return end

    def _check_parents(self) -> None:
        """What this update names as a parent and carries itself must be a type, or gone."""
        carried: dict[int, list[tuple[int, int]]] = {}
        for span in self.spans:
            carried.setdefault(span.client, []).append((span.start, span.end))
        for client, clock in self._parents - self._types:
            if _covers(carried.get(client), clock) and not _covers(self._gone.get(client), clock):
                raise PeerError(Code.MALFORMED, "an item's parent is not a type")

    def _may_cost(self) -> bool:
        cuts = UNITS_PER_VALUE * (self.structs + len(self.deletes))
        return (
            self.structs > _REHEARSED_STRUCTS
            or self.nested >= self._limits.nesting
            or cuts * len(self._data) > self._limits.cut_units
        )


def _covers(ranges: list[tuple[int, int]] | None, clock: int) -> bool:
    """Whether ordered ranges hold a clock."""
    if not ranges:
        return False
    index = bisect_right(ranges, (clock, MAX_VARINT)) - 1
    return index >= 0 and clock < ranges[index][1]
