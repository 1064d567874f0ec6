"""Causally early updates: kept until what they build on has come, bounded.

The CRDT library is never shown a struct or a deletion whose causes are missing: it would
hide it, not hand it out, and look at it again only with the next update. Here structs
wait one by one, each on the one thing it lacks, so an arrival costs what it sets free
and not a search through what waits.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from gateway.core.fingerprint import Ranges, merged, write_delete_set, write_varints
from gateway.core.structs import SKIP, Id, Struct, read_update
from gateway.core.surrogates import mended
from gateway.core.varint import write_varint

# Raw bytes kept per document; a peer that needs more has to reconcile.
MAX_EARLY_BYTES = 1_048_576
# Structs and deleted ranges kept per document: about 400 bytes of memory each.
MAX_EARLY_PIECES = 50_000

Trim = Callable[[bytes, Mapping[int, int]], bytes]


@dataclass(order=True, slots=True)
class _Piece:
    """A struct that waits, ordered by clock; ``raw`` is the update it came with."""

    clock: int
    end: int
    causes: tuple[Id, ...]
    data: bytes
    raw: bytes


class Early:
    """The waiting room of one document.

    ``trim`` cuts from an update what a state vector knows; it is called for structs that
    are known in part.
    """

    def __init__(self, trim: Trim) -> None:
        self._trim = trim
        # Pieces still waiting per update, in order of arrival.
        self._left: dict[bytes, int] = {}
        self._bytes = 0
        self._pieces = 0
        self._queues: dict[int, list[_Piece]] = {}
        self._deletes: dict[int, list[tuple[int, int, bytes]]] = {}
        # Who waits for a client, and for which clock to be known: (clock, client waiting).
        self._waiting: dict[int, list[Id]] = {}
        self._waits_for: dict[int, Id] = {}
        self._unexamined: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._left)

    def __contains__(self, raw: bytes) -> bool:
        return raw in self._left

    @property
    def raw(self) -> tuple[bytes, ...]:
        """The updates of which something still waits, whole, in order of arrival."""
        return tuple(self._left)

    def add(self, raw: bytes, *, bounded: bool = True) -> bool:
        """Take an update in; False (and nothing kept) when it does not fit.

        What of it is ready comes out with the next ``release``.
        """
        if raw in self._left:
            return True
        update = read_update(raw)
        structs = [struct for struct in update.structs if struct.reference != SKIP]
        pieces = len(structs) + sum(map(len, update.deletes.values()))
        if bounded and not self._fits(len(raw), pieces):
            return False
        if not pieces:
            return True
        self._bytes += len(raw)
        self._pieces += pieces
        self._left[raw] = pieces
        for struct in structs:
            piece = _piece(struct, raw)
            heappush(self._queues.setdefault(struct.client, []), piece)
            self._unexamined.add(struct.client)
        for client, ranges in update.deletes.items():
            waiting = self._deletes.setdefault(client, [])
            for start, end in ranges:
                heappush(waiting, (start, end, raw))
            self._unexamined.add(client)
        return True

    def release(self, clocks: dict[int, int], advanced: Iterable[int]) -> bytes:
        """Take out what is ready, as one update; b"" when nothing is.

        ``clocks`` is what is known; what comes out is counted as known from then on.
        ``advanced``: the clients of which more is known than at the last call.
        """
        ready: dict[int, tuple[int, list[bytes]]] = {}
        examine = self._unexamined
        self._unexamined = set()
        touched = set(examine)
        for client in advanced:
            touched.add(client)
            examine.update(self._freed(client, clocks))
        while examine:
            client = examine.pop()
            touched.add(client)
            if self._drain(client, clocks, ready):
                examine.update(self._freed(client, clocks))
        deletes = self._ready_deletes(touched, clocks)
        return _written(ready, deletes) if ready or deletes else b""

    def _fits(self, size: int, pieces: int) -> bool:
        return self._bytes + size <= MAX_EARLY_BYTES and self._pieces + pieces <= MAX_EARLY_PIECES

    def _drain(
        self, client: int, clocks: dict[int, int], ready: dict[int, tuple[int, list[bytes]]]
    ) -> bool:
        """Move the ready head of a client's queue to ``ready``; whether its clock moved."""
        queue = self._queues.get(client)
        known = before = clocks.get(client, 0)
        while queue:
            piece = queue[0]
            if piece.end > known:
                blocker = _blocker(client, piece, clocks)
                if blocker is not None:
                    self._wait(client, blocker)
                    break
                data = piece.data
                if piece.clock < known:
                    data = self._cut(client, piece, known)
                ready.setdefault(client, (known, []))[1].append(data)
                known = clocks[client] = piece.end
            heappop(queue)
            self._settle(piece.raw)
        if not queue:
            self._queues.pop(client, None)
            self._waits_for.pop(client, None)
        return known != before

    def _cut(self, client: int, piece: _Piece, known: int) -> bytes:
        """The bytes of a struct from ``known`` on."""
        whole = mended(_written({client: (piece.clock, [piece.data])}, {}), {(client, known)})
        cut = self._trim(whole, {client: known})
        struct = read_update(cut).structs[0]
        return cut[struct.first : struct.last]

    def _wait(self, client: int, blocker: Id) -> None:
        if self._waits_for.get(client) != blocker:
            self._waits_for[client] = blocker
            heappush(self._waiting.setdefault(blocker[0], []), (blocker[1], client))

    def _freed(self, client: int, clocks: dict[int, int]) -> list[int]:
        """The clients whose head waited for what is now known of ``client``."""
        waiting = self._waiting.get(client, [])
        known = clocks.get(client, 0)
        freed = []
        while waiting and waiting[0][0] <= known:
            freed.append(heappop(waiting)[1])
        for other in freed:
            self._waits_for.pop(other, None)
        if not waiting:
            self._waiting.pop(client, None)
        return freed

    def _ready_deletes(self, touched: Iterable[int], clocks: dict[int, int]) -> dict[int, Ranges]:
        deletes: dict[int, Ranges] = {}
        for client in touched:
            waiting = self._deletes.get(client, [])
            known = clocks.get(client, 0)
            while waiting and waiting[0][0] < known:
                start, end, raw = heappop(waiting)
                deletes.setdefault(client, []).append((start, min(end, known)))
                if end > known:
                    heappush(waiting, (known, end, raw))
                else:
                    self._settle(raw)
            if not waiting:
                self._deletes.pop(client, None)
        return {client: merged(ranges) for client, ranges in deletes.items()}

    def _settle(self, raw: bytes) -> None:
        """One piece of an update waits no more."""
        self._pieces -= 1
        self._left[raw] -= 1
        if not self._left[raw]:
            del self._left[raw]
            self._bytes -= len(raw)


def _piece(struct: Struct, raw: bytes) -> _Piece:
    named = (struct.origin, struct.right_origin, struct.parent)
    causes = tuple(cause for cause in named if isinstance(cause, tuple))
    return _Piece(struct.clock, struct.end, causes, raw[struct.first : struct.last], raw)


def _blocker(client: int, piece: _Piece, clocks: Mapping[int, int]) -> Id | None:
    """What a struct lacks first: a client and the clock that has to be known."""
    if piece.clock > clocks.get(client, 0):
        return client, piece.clock
    for cause, clock in piece.causes:
        if clock >= clocks.get(cause, 0):
            return cause, clock + 1
    return None


def _written(
    structs: Mapping[int, tuple[int, list[bytes]]], deletes: Mapping[int, Ranges]
) -> bytes:
    """An update of structs that follow each other per client, higher clients first."""
    parts = [write_varint(len(structs))]
    for client, (clock, pieces) in sorted(structs.items(), reverse=True):
        parts += (write_varints((len(pieces), client, clock)), *pieces)
    parts.append(write_delete_set(deletes))
    return b"".join(parts)
