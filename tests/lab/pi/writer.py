"""An app on a phone that changes something all the time, and what becomes of it."""

import asyncio
import itertools
from itertools import pairwise

from tests.lab.pi.keeper import Keeper

# Between two changes.
WRITE_SECONDS = 0.1
# Of one phone; each change is a key of the document in turn.
DOCUMENTS = 3


class Writer:
    """A phone whose app changes something all the time. ``saved``: what was acknowledged."""

    def __init__(self, phone: Keeper) -> None:
        self.phone = phone
        self.saved: dict[str, dict[str, int]] = {}
        # When each acknowledged change was made, and how long that took.
        self.waits: list[tuple[float, float]] = []
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        for number in itertools.count():
            document = f"notes/{self.phone.number}-{number % DOCUMENTS}"
            began = loop.time()
            await self.phone.save(document, f"k{number}", number)
            self.saved.setdefault(document, {})[f"k{number}"] = number
            self.waits.append((began, loop.time() - began))
            await asyncio.sleep(WRITE_SECONDS)

    async def served(self, after: float, seconds: float) -> float:
        """When a change that was made after a moment was acknowledged first."""

        def reached() -> bool:
            if self._writing.done():
                self._writing.result()
            return bool(self.waits) and self.waits[-1][0] >= after

        await self.phone.until(reached, seconds)
        return next(began + wait for began, wait in self.waits if began >= after)

    def stall(self) -> float:
        """The longest time in which a link neither ended nor brought an acknowledgement."""
        longest = 0.0
        for opened, ended in self.phone.spans:
            heard = [opened, *(began + wait for began, wait in self.waits), ended]
            within = sorted(time for time in heard if opened <= time <= ended)
            longest = max([longest, *(after - before for before, after in pairwise(within))])
        return longest

    def slowest(self, since: float, until: float, share: float) -> float:
        """How long this share of the changes that were made then took at most."""
        waits = sorted(wait for began, wait in self.waits if since <= began <= until)
        return waits[min(int(share * len(waits)), len(waits) - 1)]

    async def rest(self) -> None:
        self._writing.cancel()
        await asyncio.wait({self._writing})
