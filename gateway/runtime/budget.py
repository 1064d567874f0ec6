"""Loop time for what a peer may ask again and again at little cost to itself."""

from gateway.ports import Clock

# What an address has at first, and at most: far more than comparing 100,000 documents takes.
CREDIT_SECONDS = 1.0
# What it gets back in a second. The other peers wait when one is served.
SHARE = 0.01
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

    def spend(self, address: str, began: float) -> float:
        """Take the time since ``began``; how long to leave the peer alone now, in seconds.

        ``address`` is that of a link; its port does not count.
        """
        now = self.now()
        host = address.rpartition(":")[0]
        credit, then = self._credit.pop(host, (CREDIT_SECONDS, began))
        credit = min(CREDIT_SECONDS, credit + SHARE * (now - then)) - (now - began)
        self._credit[host] = (credit, now)
        if len(self._credit) > MAX_ADDRESSES:
            del self._credit[next(iter(self._credit))]
        return max(0.0, -credit / SHARE)
