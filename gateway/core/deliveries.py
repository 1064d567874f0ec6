"""Which of the updates we sent over a link the peer has decided on (docs/protocol.md section 4)."""

from collections import Counter

# A peer that acknowledges nothing makes us remember at most this many; then no more is told.
MAX_OUTSTANDING = 50_000


class Deliveries:
    """Counts what is sent, from 1, and what of it is acknowledged."""

    def __init__(self) -> None:
        self._number = 0
        # The last that is not remembered, and the last acknowledged.
        self._uncounted = self._acknowledged = 0
        # The documents of what is not acknowledged, by number.
        self._outstanding: dict[int, str] = {}
        self._count = Counter[str]()
        # Since when, in seconds, something of a document is not acknowledged.
        self._since: dict[str, float] = {}
        # Documents of which the peer did not take something; it lacks that as long as the link.
        self._lacking: set[str] = set()

    def sent(self, document: str, now: float) -> None:
        """One more update, or part of an answer, of this document."""
        self._number += 1
        if len(self._outstanding) >= MAX_OUTSTANDING:
            self._uncounted = self._number
        else:
            self._outstanding[self._number] = document
            self._count[document] += 1
            self._since.setdefault(document, now)

    def refused(self, number: int) -> str:
        """The document of an update that was not taken, or "" if it is not known any more."""
        document = self._outstanding.get(number, "")
        if document:
            self._lacking.add(document)
        return document

    def acknowledged(self, upto: int) -> tuple[str, ...]:
        """The documents of which the peer now has all that we sent over this link."""
        delivered: dict[str, None] = {}
        self._acknowledged = max(self._acknowledged, upto)
        while self._outstanding and (number := next(iter(self._outstanding))) <= upto:
            document = self._outstanding.pop(number)
            self._count[document] -= 1
            if not self._count[document]:
                del self._count[document], self._since[document]
                delivered[document] = None
        return tuple(name for name in delivered if name not in self._lacking)

    def outstanding(self, document: str) -> tuple[int, float]:
        """How many updates of a document are not acknowledged, and since when one is not."""
        return self._count.get(document, 0), self._since.get(document, 0.0)

    @property
    def counted(self) -> bool:
        """Whether everything that is not acknowledged is remembered."""
        return self._acknowledged >= self._uncounted

    def lacks(self, document: str) -> bool:
        """Whether the peer did not take something of a document."""
        return document in self._lacking
