"""What the subscriptions and PEERS of one link may take: of memory, and of reading them.

The caps are in docs/limits.md. What a change of subscriptions takes afterwards, to look for
what matches, is not counted here (``gateway.core.meter``, ``gateway.runtime.scans``).
"""

from collections import Counter

from gateway.core.errors import Code, PeerError
from gateway.core.selector import Selector

MAX_SUBSCRIPTIONS = 256
# Terms of all selectors; one takes up to a kilobyte of memory.
MAX_TERMS = 4_096
MAX_SELECTOR_BYTES = 65_536
# Different top-level fields: all are looked at in each document of the collection.
MAX_FIELDS = 64
# A SUBSCRIBE or UNSUBSCRIBE takes its selector's bytes and so many more; 4 kB are read in a ms.
CHANGE_BYTES = 128
# So much of that at once, which is more than can be held, and in a second: 30 ms, and 4 ms.
CHANGES_BYTES = 131_072
CHANGES_BYTES_A_TICK = 16_384

# PEERS: what is not read of them is told again. The worst takes a ms for each kilobyte to read.
PEERS_TYPE = 19
PEERS_BYTES = 65_536
PEERS_BYTES_A_TICK = 16_384


class Allotment:
    """Counts; beyond a cap it raises ``PeerError`` TOO_MANY, which ends the link."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[Selector, int]] = {}
        self._fields = Counter[str]()
        self._terms = self._bytes = 0
        self._changed_bytes = 0
        self._peers_bytes = PEERS_BYTES

    def reads(self, record: bytes) -> bool:
        """Whether a record (type and body) is to be read: of PEERS only so much in a second."""
        if record[0] != PEERS_TYPE:
            return True
        if len(record) > self._peers_bytes:
            return False
        self._peers_bytes -= len(record)
        return True

    def read(self, text: str) -> Selector:
        """The selector of a SUBSCRIBE. Raises ``PeerError`` also for what is none."""
        self.change(len(text.encode()))
        return Selector(text)

    def change(self, size: int = 0) -> None:
        """A subscription is begun, changed or ended."""
        self._changed_bytes += CHANGE_BYTES + size
        if self._changed_bytes > CHANGES_BYTES:
            raise _too_many("subscriptions change too fast")

    def hold(self, number: int, selector: Selector, text: str) -> None:
        """A subscription is begun or changed."""
        self.drop(number)
        size = len(text.encode())
        self._held[number] = selector, size
        self._terms += selector.terms
        self._bytes += size
        self._fields.update(selector.fields)
        if len(self._held) > MAX_SUBSCRIPTIONS:
            raise _too_many(f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        if self._terms > MAX_TERMS or self._bytes > MAX_SELECTOR_BYTES:
            raise _too_many("subscriptions with too many terms")
        if len(self._fields) > MAX_FIELDS:
            raise _too_many(f"subscriptions to more than {MAX_FIELDS} fields")

    def drop(self, number: int) -> None:
        """A subscription ends, if there is one of this number."""
        selector, size = self._held.pop(number, (None, 0))
        if selector is not None:
            self._terms -= selector.terms
            self._bytes -= size
            self._fields -= Counter(selector.fields)

    def renew(self) -> None:
        """A second went by."""
        self._changed_bytes = max(0, self._changed_bytes - CHANGES_BYTES_A_TICK)
        self._peers_bytes = min(PEERS_BYTES, self._peers_bytes + PEERS_BYTES_A_TICK)


def _too_many(reason: str) -> PeerError:
    return PeerError(Code.TOO_MANY, reason)
