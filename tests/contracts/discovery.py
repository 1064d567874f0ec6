"""What every discovery must do: inherit ``DiscoveryContract`` and give it two in one network."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.core.announcement import Address, Announcement, Neighbour
from gateway.ports import Discovery

SOON = 10.0
HERE = [Address("127.0.0.1", 8, 1, usable=True)]
ONE, TWO = "1" * 32, "2" * 32
OWN = Announcement(ONE, 1, 2, "ab", True, 8787, "Shop", 8788, ("10.0.0.1", "fd00::1"))


class Seen:
    """Satisfies ``Sightings``."""

    def __init__(self) -> None:
        self.now: dict[str, Neighbour] = {}
        self.changed = asyncio.Event()

    def seen(self, neighbour: Neighbour) -> None:
        self.now[neighbour.peer] = neighbour
        self.changed.set()

    def gone(self, peer: str) -> None:
        del self.now[peer]
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


class DiscoveryContract:
    """The suite; ``pair`` makes two in one network."""

    @staticmethod
    def pair() -> tuple[Discovery, Discovery]:
        raise NotImplementedError

    def run(self, work: Callable[[Discovery, Discovery], Awaitable[None]]) -> None:
        async def both() -> None:
            one, two = self.pair()
            try:
                await work(one, two)
            finally:
                await one.stop(goodbye=True)
                await two.stop(goodbye=True)

        asyncio.run(both())

    def test_what_is_announced_is_seen_as_it_is(self) -> None:
        async def work(one: Discovery, two: Discovery) -> None:
            seen = Seen()
            await two.start(HERE, None, seen)
            await one.start(HERE, OWN, Seen())
            await seen.until(lambda: ONE in seen.now)
            it = seen.now[ONE]
            assert replace(it, addresses=()) == Neighbour(ONE, 1, 2, "ab", True, 8787, ())
            assert set(it.addresses) == set(OWN.addresses)

        self.run(work)

    def test_who_comes_later_sees_who_was_there(self) -> None:
        async def work(one: Discovery, two: Discovery) -> None:
            mine, theirs = Seen(), Seen()
            await one.start(HERE, OWN, mine)
            await two.start(HERE, replace(OWN, peer=TWO), theirs)
            await mine.until(lambda: TWO in mine.now)
            await theirs.until(lambda: ONE in theirs.now)

        self.run(work)

    def test_who_says_goodbye_is_gone_and_may_come_back(self) -> None:
        async def work(one: Discovery, two: Discovery) -> None:
            seen = Seen()
            await two.start(HERE, None, seen)
            await one.start(HERE, OWN, Seen())
            await seen.until(lambda: ONE in seen.now)
            await one.stop(goodbye=True)
            await one.stop(goodbye=True)
            await seen.until(lambda: not seen.now)
            await one.start(HERE, OWN, Seen())
            await seen.until(lambda: ONE in seen.now)

        self.run(work)

    def test_who_starts_anew_without_goodbye_is_not_gone_and_seen_as_it_is_now(self) -> None:
        async def work(one: Discovery, two: Discovery) -> None:
            seen = Seen()
            await two.start(HERE, None, seen)
            await one.start(HERE, OWN, Seen())
            await seen.until(lambda: ONE in seen.now)
            # Only what is known for a second is replaced (RFC 6762 section 10.2).
            await asyncio.sleep(1.1)
            await one.stop(goodbye=False)
            assert ONE in seen.now
            moved = ("10.0.0.9", "fd00::9")
            await one.start(HERE, replace(OWN, addresses=moved), Seen())
            await seen.until(lambda: set(seen.now[ONE].addresses) == set(moved))

        self.run(work)

    def test_nothing_is_told_after_the_stop(self) -> None:
        async def work(one: Discovery, two: Discovery) -> None:
            seen = Seen()
            await two.start(HERE, None, seen)
            await two.stop(goodbye=True)
            other = Seen()
            await one.start(HERE, OWN, other)
            await two.start(HERE, None, other)
            await other.until(lambda: ONE in other.now)
            assert not seen.now

        self.run(work)

    def test_without_a_usable_address_nothing_happens(self) -> None:
        async def work(one: Discovery, two: Discovery) -> None:
            away = [replace(HERE[0], usable=False)]
            await one.start(away, OWN, Seen())
            await two.start([], OWN, Seen())

        self.run(work)
