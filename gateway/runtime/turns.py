"""Turns of exchanges of fingerprints of one link.

Each waits until its address can pay for it (``gateway.runtime.budget``). Everything else the
link says is read meanwhile, so neither it nor its silence is held against the peer.
"""

import asyncio
from collections import deque

from gateway.core.errors import Code
from gateway.core.events import Compared
from gateway.core.session import Session, State
from gateway.runtime.budget import Budget
from gateway.runtime.perform import Performer

# Of one link; some of the largest messages, as honest peers may compare several things at once.
MAX_WAITING_BYTES = 1_048_576


class Turns:
    """The turns a peer takes, in their order. Used in the loop; ``close`` when the link ends."""

    def __init__(self, session: Session, performer: Performer, budget: Budget) -> None:
        self._session = session
        self._performer = performer
        self._budget = budget
        self._waiting: deque[Compared] = deque()
        self._bytes = 0
        # Loop time this link took.
        self._used = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, event: Compared) -> None:
        """Answer a turn, now or when there is time for it."""
        self._waiting.append(event)
        self._bytes += len(event.payload)
        if self._bytes > MAX_WAITING_BYTES:
            self._session.close(Code.TOO_MANY, "more turns of exchanges than there is time for")
            self._performer.wake(self._session)
        elif self._timer is None:
            self._go_on()

    def forget(self, number: int) -> None:
        """A subscription of the peer changed: what waits is about the one before."""
        kept = [turn for turn in self._waiting if turn.ours or turn.number != number]
        self._waiting = deque(kept)
        self._bytes = sum(len(turn.payload) for turn in kept)

    def close(self) -> None:
        """Nothing is answered any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _go_on(self) -> None:
        self._timer = None
        if not self._waiting or self._session.state is State.CLOSED:
            return
        pause = self._budget.pause(self._session.address, self._used)
        if not pause:
            turn = self._waiting.popleft()
            self._bytes -= len(turn.payload)
            began = self._budget.now()
            self._performer.link(self._session, turn)
            self._used += self._budget.spend(self._session.address, began)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(pause, self._go_on)
