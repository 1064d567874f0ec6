"""One comparison with a hub: which documents differ, which were asked about, when it is over.

docs/protocol.md section 12. This side drives: it takes the turns of the exchange, then asks about
what differs, some documents at a time. Pure.
"""

from collections.abc import Callable, Collection
from itertools import islice
from typing import Final

from gateway.core.errors import Code, PeerError
from gateway.core.names import collection_of
from gateway.core.reconcile import (
    MIN_PAYLOAD_BYTES,
    SALT_BYTES,
    Catalogue,
    answer,
    most_turns,
    opening,
)

# Names of documents that differ, at most; when these are equal the next comparison finds more.
MOST_DIFFERING: Final = 20_000
# Documents asked about without an answer: what comes back has to be held by the broker.
MOST_ASKED: Final = 400
ASKED_AT_ONCE: Final = 200
# Nothing came back for so long: it was lost, or the hub is gone.
PATIENCE_SECONDS: Final = 60.0
# A turn takes the loop a millisecond for a few of these.
TURN_BYTES: Final = 32_768

# It is made again after so long, or so soon when it failed, then after twice as long.
PAUSE_SECONDS: Final = 1_800.0
FAILED_PAUSE_SECONDS: Final = 60.0
# A worker of the hub started: thousands of gateways do not come at the same moment, nor each
# gateway for each of many workers.
STARTED_SECONDS: Final = 30.0
LEAST_SECONDS: Final = 60.0


class Comparison:
    """``collections``: those that take part; None: all. ``wanted``: those of which this side takes
    changes. ``limit``: bytes of a turn."""

    def __init__(
        self,
        catalogue: Catalogue,
        salt: bytes,
        collections: Collection[str] | None,
        wanted: Collection[str],
        limit: int,
        now: float,
    ) -> None:
        self._catalogue = catalogue
        self._salt = salt
        self._collections = collections
        self._wanted = wanted
        self._limit = max(MIN_PAYLOAD_BYTES, min(limit, TURN_BYTES))
        self._turns = 0
        self._compared = False
        self._differing: dict[str, None] = {}
        self._asked: dict[str, None] = {}
        self._moved_at = now
        # How many documents differed, and how many of them nobody answered.
        self.differed = self.unanswered = 0
        # Whether the other side said anything, and whether there was more than is kept.
        self.heard = self.more = False

    def opening(self) -> bytes:
        """The first turn."""
        return opening(self._catalogue, self._salt, self._collections)

    def turn(self, ranges: bytes, now: float) -> bytes | None:
        """Our answer to a turn; None: none is needed, or it is of another exchange.

        Raises ``PeerError``: MALFORMED, TOO_MANY.
        """
        if ranges[:SALT_BYTES] != self._salt or self._compared:
            return None
        self._turns += 1
        if self._turns > most_turns(self._limit):
            raise PeerError(Code.TOO_MANY, "an exchange that does not end")
        found = answer(self._catalogue, ranges, self._limit)
        self._hear(now)
        self._compared = found.reply is None or found.finished
        for document in found.differing:
            self._note(document)
        return found.reply

    def said(self, now: float) -> None:
        """What was to be said is on its way; that may have taken long."""
        self._moved_at = now

    def next(self, waits: Callable[[str], bool]) -> list[str]:
        """Documents to ask about now; not those of which something ``waits`` to be sent."""
        if len(self._asked) > MOST_ASKED - ASKED_AT_ONCE:
            return []
        documents = list(islice(self._differing, ASKED_AT_ONCE))
        for document in documents:
            del self._differing[document]
        asked = [document for document in documents if not waits(document)]
        self._asked.update(dict.fromkeys(asked))
        return asked

    def answered(self, document: str, now: float) -> None:
        """The other side said something of a document."""
        if self._asked.pop(document, self) is None:
            self._hear(now)

    def look(self, now: float) -> bool:
        """Whether it goes on, after time passed."""
        if now - self._moved_at >= PATIENCE_SECONDS:
            # Whoever says nothing is not asked more.
            self.unanswered += len(self._asked)
            self._asked.clear()
            return False
        return not self._is_over

    @property
    def is_whole(self) -> bool:
        """Whether it came to its end; single documents may have been left out by the other side."""
        return self._is_over and self.heard

    @property
    def left(self) -> int:
        """How many documents are still to be compared, as far as is known."""
        return len(self._differing) + len(self._asked)

    @property
    def _is_over(self) -> bool:
        return self._compared and not self._differing and not self._asked

    def _hear(self, now: float) -> None:
        self.heard = True
        self._moved_at = now

    def _note(self, document: str) -> None:
        collection = collection_of(document)
        if self._collections is not None and collection not in self._collections:
            return
        if collection not in self._wanted and not self._catalogue.holds(document.encode()):
            # There is nothing to give, and nothing would be taken.
            return
        if document in self._differing or document in self._asked:
            return
        if self.differed >= MOST_DIFFERING:
            self.more = True
            return
        self.differed += 1
        self._differing[document] = None


class Due:
    """When documents are compared with a hub; ``chance``, from 0 to 1, spreads many gateways."""

    def __init__(self) -> None:
        self._failed = FAILED_PAUSE_SECONDS
        self._at = 0.0
        self._began = float("-inf")

    def seconds(self, now: float) -> float:
        """How long until the next one."""
        return max(0.0, self._at - now)

    def connected(self) -> None:
        """A connection is new: what other gateways changed meanwhile is not known."""
        self._at = 0.0

    def started(self, now: float, chance: float) -> None:
        """A worker of the hub started."""
        soon = max(now + chance * STARTED_SECONDS, self._began + LEAST_SECONDS)
        self._at = min(self._at, soon)

    def began(self, now: float) -> None:
        """One begins."""
        self._began = now

    def ended(self, now: float, chance: float, *, more: bool) -> None:
        """One came to its end; ``more``: there is reason for another one at once."""
        self._failed = FAILED_PAUSE_SECONDS
        self._at = now if more else now + PAUSE_SECONDS * (1 - chance / 4)

    def failed(self, now: float, chance: float) -> None:
        """One did not come to its end."""
        self._at = now + self._failed * (1 - chance / 4)
        self._failed = min(2 * self._failed, PAUSE_SECONDS)
