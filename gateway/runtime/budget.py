"""Loop time for what a peer may ask again and again at little cost to itself."""

from gateway.ports import Clock

# What an address has at first, and at most: far more than comparing 100,000 documents takes.
CREDIT_SECONDS = 1.0
# What it gets back in a second. The other peers wait when one is served.
SHARE = 0.01
# What each link may use beside, until its address owes so much.
LINK_SECONDS = 0.005
MAX_DEBT_SECONDS = 5.0
SHORTEST_PAUSE_SECONDS = 0.01
# Beyond this the address longest unseen is forgotten.
MAX_ADDRESSES = 10_000


class Budget:
    """By address, so that connecting again gains nothing. Use it from one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Credit in seconds, below 0 what is owed, and when that was.
        self._credit: dict[str, tuple[float, float]] = {}

    def now(self) -> float:
        """What ``spend`` counts from."""
        return self._clock.monotonic()

    def pause(self, address: str, used: float) -> float:
        """How long to leave a peer alone, in seconds.

        ``address`` is that of a link; its port does not count. A link that ``used`` little
        need not wait for others at its address, as long as they are not far over it.
        """
        credit, then = self._credit.get(_host(address), (CREDIT_SECONDS, 0.0))
        credit += SHARE * (self.now() - then)
        if credit > 0 or (used < LINK_SECONDS and credit > -MAX_DEBT_SECONDS):
            return 0.0
        return max(-credit / SHARE, SHORTEST_PAUSE_SECONDS)

    def spend(self, address: str, began: float) -> float:
        """Take the time since ``began``, which is returned."""
        now = self.now()
        host = _host(address)
        credit, then = self._credit.pop(host, (CREDIT_SECONDS, began))
        credit = min(CREDIT_SECONDS, credit + SHARE * (now - then)) - (now - began)
        self._credit[host] = (credit, now)
        if len(self._credit) > MAX_ADDRESSES:
            del self._credit[next(iter(self._credit))]
        return now - began


def _host(address: str) -> str:
    return address.rpartition(":")[0]
