"""What comes from a hub, as a session: so it is checked, counted and passed on like a peer's."""

from collections.abc import Callable, Collection

from gateway.core.errors import Code
from gateway.core.local_session import LocalSession, OnDecided
from gateway.core.names import collection_of
from gateway.core.records import CLOUD


class CloudSession(LocalSession):
    """Takes part in no document; what it relays is of authors it does not know.

    ``collections``: those it may write. ``on_asked(document)``: something is missing that an update
    refers to.
    """

    kind = "cloud"

    def __init__(
        self,
        collections: Collection[str],
        on_decided: OnDecided,
        on_asked: Callable[[str], None],
    ) -> None:
        super().__init__(CLOUD, self._decided)
        self.address = "the cloud"
        self._collections = frozenset(collections)
        self._tell = on_decided
        self._on_asked = on_asked
        self._undecided: set[int] = set()

    def expect(self, number: int) -> None:
        """An update of this number is about to be handed in."""
        self._undecided.add(number)

    def give_up(self, number: int) -> None:
        """Nobody wants to know any more what becomes of an update."""
        self._undecided.discard(number)

    def may_write(self, document: str) -> bool:
        """See ``Session``."""
        return collection_of(document) in self._collections

    def writes_as(self, client: int) -> bool:
        """See ``Session``."""
        return False

    def ask(self, document: str, state_vector: bytes) -> None:
        """See ``Session``."""
        self._on_asked(document)

    def close(self, code: Code, reason: str) -> None:
        """See ``Session``. It lives as long as the process; what is undecided was not taken."""
        for number in sorted(self._undecided):
            self.refuse("", number, code, reason)
            self.acknowledge(number)

    def _decided(self, number: int, code: Code | None, reason: str) -> None:
        """Once for each, whatever is heard of it after it was given up."""
        if number in self._undecided:
            self._undecided.discard(number)
            self._tell(number, code, reason)
