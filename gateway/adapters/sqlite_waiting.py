"""Which rows of the log wait for the cloud, in memory: no verb looks at more than it is about."""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence

Row = tuple[int, int]  # sequence number, bytes


class _Rows:
    """Those of one document, in their order."""

    __slots__ = ("sequences", "sizes")

    def __init__(self, rows: Iterable[Row]) -> None:
        self.sequences = array("q")
        self.sizes = array("I")
        for row in rows:
            self.add(*row)

    def add(self, sequence: int, size: int) -> None:
        self.sequences.append(sequence)
        self.sizes.append(size)

    def pairs(self, end: int | None = None, start: int = 0) -> list[Row]:
        return list(zip(self.sequences[start:end], self.sizes[start:end], strict=True))


class WaitingRows:
    """What waits, by document."""

    def __init__(self) -> None:
        self._rows: dict[str, _Rows] = {}
        # The first row of each document, and the document; in order.
        self._order: list[tuple[int, str]] = []
        self.bytes = 0

    def __len__(self) -> int:
        """How many documents wait."""
        return len(self._rows)

    def add(self, document: str, sequence: int, size: int) -> None:
        """A row waits that is newer than all others of its document."""
        rows = self._rows.get(document)
        if rows is None:
            self._put(document, [(sequence, size)])
        else:
            rows.add(sequence, size)
        self.bytes += size

    def documents(self, most: int) -> Sequence[str]:
        """Those that wait, the one whose first row is the oldest first."""
        return [document for _, document in self._order[:most]]

    def first(self) -> int | None:
        """The oldest row that waits."""
        return self._order[0][0] if self._order else None

    def rows(self, document: str) -> list[Row]:
        """What waits of a document, in order."""
        rows = self._rows.get(document)
        return rows.pairs() if rows else []

    def part(self, document: str, after: int, most_bytes: int) -> tuple[list[Row], bool]:
        """What waits of a document above a number, in order, as long as it has not more bytes; one
        row in any case. Whether there are more."""
        rows = self._rows.get(document)
        if rows is None:
            return [], False
        start = end = bisect_right(rows.sequences, after)
        size = 0
        while end < len(rows.sequences):
            size += rows.sizes[end]
            if size > most_bytes and end > start:
                break
            end += 1
        return rows.pairs(end, start), end < len(rows.sequences)

    def upto(self, document: str, last: int) -> list[Row]:
        """The part of it that is not newer than ``last``."""
        rows = self._rows.get(document)
        return rows.pairs(bisect_right(rows.sequences, last)) if rows else []

    def drop(self, document: str, last: int) -> list[Row]:
        """``upto``, and it waits no more."""
        gone = self.upto(document, last)
        if gone:
            rest = self._take(document)[len(gone) :]
            self._put(document, rest)
            self.bytes -= sum(size for _, size in gone)
        return gone

    def merge(self, document: str, last: int, size: int) -> None:
        """The last row of ``upto`` has ``size`` bytes and stands for all of them."""
        gone = self.drop(document, last)
        self._put(document, [(gone[-1][0], size), *self._take(document)])
        self.bytes += size

    def clear(self) -> dict[str, list[Row]]:
        """Nothing waits any more; what did."""
        gone = {document: rows.pairs() for document, rows in self._rows.items()}
        self._rows, self._order, self.bytes = {}, [], 0
        return gone

    def _put(self, document: str, rows: list[Row]) -> None:
        if rows:
            self._rows[document] = _Rows(rows)
            insort(self._order, (rows[0][0], document))

    def _take(self, document: str) -> list[Row]:
        rows = self._rows.pop(document, None)
        if rows is None:
            return []
        del self._order[bisect_left(self._order, (rows.sequences[0], document))]
        return rows.pairs()
