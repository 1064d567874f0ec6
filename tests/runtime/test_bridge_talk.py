"""What is said to a hub, and whether it is there: a fake connection, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count, pairwise
from typing import cast

from gateway.core.bridge import Publication
from gateway.core.bridge_envelope import open_up
from gateway.core.bridge_items import Ask, Change, Item, Ping, Revoked, Turn, Wants, read
from gateway.core.bridge_topics import Topics
from gateway.core.errors import GatewayError
from gateway.runtime.bridge_talk import LEAST_BYTES, OTHER_KEY, SILENT, Talk
from gateway.runtime.threads import Helper
from tests.core.stores import Device, gateway, paired
from tests.runtime.test_bridge import FakeLink
from tests.support.virtual_time import VirtualLoop, run

GATEWAY = gateway(3)


class Link(FakeLink):
    """Remembers when what was said; raises what it is to."""

    most_bytes = 262_000

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[float, Item]] = []
        self.refusal: GatewayError | None = None

    async def publish(self, publication: Publication) -> None:
        if self.refusal is not None:
            raise self.refusal
        assert publication.heard
        opened = open_up(publication.payload, GATEWAY.of.store, GATEWAY.peer)
        now = asyncio.get_running_loop().time()
        self.said += [(now, item) for item in read(opened.batch)]

    def of(self, kind: type) -> list[float]:
        return [at for at, item in self.said if isinstance(item, kind)]

    @property
    def nonce(self) -> int:
        return [item.nonce for _, item in self.said if isinstance(item, Ping)][-1]


class Line:
    """A way of talking."""

    def __init__(self, device: Device = GATEWAY) -> None:
        numbers = count(1)
        self.refusals: dict[str, GatewayError | None] = {}
        clock = asyncio.get_running_loop()
        assert isinstance(clock, VirtualLoop)
        self.topics = Topics("r", device.of.store, device.peer)
        self.talk = Talk(
            lambda: device.membership, ["menu", "a"], cast(Helper, None),
            self.refusals.__setitem__, lambda size: next(numbers).to_bytes(size, "big"), clock,
            lambda: 0.0,
        )  # fmt: skip

    @asynccontextmanager
    async def over(self, link: Link) -> AsyncIterator[None]:
        serving = asyncio.ensure_future(self.talk.serve(link, self.topics))
        await asyncio.sleep(0.1)
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    @property
    def trouble(self) -> str:
        error = self.refusals.get("hub")
        return error.code if error else ""


def test_it_is_greeted_until_it_answers_and_nothing_else_is_said_before() -> None:
    async def work() -> None:
        line, link = Line(), Link()
        async with line.over(link):
            assert [type(item) for _, item in link.said] == [Ping, Wants]
            assert link.said[1][1] == Wants(("a", "menu"))
            assert not await line.talk.tell([Change("a/1", b"x")])
            await asyncio.sleep(1_000)
            pauses = [later - sooner for sooner, later in pairwise(link.of(Ping))]
            assert pauses[:3] == [30.0, 60.0, 120.0] and line.trouble == SILENT
            line.talk.answered(link.nonce + 1)
            assert not line.talk.is_heard
            line.talk.answered(link.nonce)
            assert line.talk.is_heard and line.trouble == "" and line.talk.heard_at is not None
            asked = len(link.of(Ping))
            assert await line.talk.tell([Change("a/1", b"x"), Turn(b"y" * 9), Ask("a/2", b"\0")])
            await asyncio.sleep(1_000)
            assert len(link.of(Ping)) == asked and link.said[-3][1] == Change("a/1", b"x")
            assert line.talk.messages == asked + 1 and line.talk.sent_bytes > 300
        # Over another connection it has to answer anew.
        other = Link()
        async with line.over(other):
            assert not line.talk.is_heard and other.of(Ping)

    run(work())


def test_a_hub_with_another_key_is_told_from_a_silent_one() -> None:
    async def work() -> None:
        line, link = Line(), Link()
        async with line.over(link):
            # It is said at once, and goes on to be said while that hub answers each greeting.
            line.talk.mistaken()
            assert line.trouble == OTHER_KEY and not line.talk.is_heard
            await asyncio.sleep(31)
            assert line.trouble == OTHER_KEY and len(link.of(Ping)) == 2
            # Now nobody answers.
            await asyncio.sleep(60)
            assert line.trouble == SILENT
            line.talk.mistaken()
            assert line.trouble == OTHER_KEY
            line.talk.answered(link.nonce)
            assert line.trouble == "" and line.talk.is_heard
            # The hub is there: whatever somebody else says changes nothing.
            line.talk.mistaken()
            assert line.trouble == "" and line.talk.is_heard

    run(work())


def test_what_nobody_hears_or_the_broker_refuses_is_said_again_after_a_greeting() -> None:
    async def work() -> None:
        for code, shown in (("broker-nobody", SILENT), ("broker-quota", "broker-quota")):
            line, link = Line(), Link()
            async with line.over(link):
                line.talk.answered(link.nonce)
                await asyncio.sleep(1)
                link.refusal = GatewayError(code, "")
                assert not await line.talk.tell([Change("a/1", b"x")])
                assert line.trouble == shown and not line.talk.is_heard
                # The greeting that follows at once is not taken either.
                await asyncio.sleep(1)
                link.refusal = None
                await asyncio.sleep(30)
                assert len(link.of(Ping)) == 2
                line.talk.answered(link.nonce)
                assert await line.talk.tell([Change("a/1", b"x")]) and line.trouble == ""

    run(work())


def test_a_hub_that_started_or_was_lost_is_greeted_soon() -> None:
    async def work() -> None:
        line, link = Line(), Link()
        async with line.over(link):
            await asyncio.sleep(5)
            for _ in range(5):
                line.talk.started()
            await asyncio.sleep(2)
            assert len(link.of(Ping)) == 2
            line.talk.answered(link.nonce)
            line.talk.started()
            await asyncio.sleep(40)
            assert len(link.of(Ping)) == 2
            line.talk.lost()
            await asyncio.sleep(1)
            assert len(link.of(Ping)) == 3 and not line.talk.is_heard

    run(work())


def test_revocations_go_with_each_greeting_and_as_they_are_heard() -> None:
    async def work() -> None:
        device = gateway(3)
        entry = device.of.revocation(b"\x09" * 16)
        device.of.revocations.add(entry)

        class Other(Link):
            async def publish(self, publication: Publication) -> None:
                if self.refusal is not None:
                    raise self.refusal
                opened = open_up(publication.payload, device.of.store, device.peer)
                self.said += [(0.0, item) for item in read(opened.batch)]

        line, link = Line(device), Other()
        async with line.over(link):
            assert link.said[-1][1] == Revoked(entry)
            telling = asyncio.ensure_future(line.talk.revoked([b"new"]))
            await asyncio.sleep(1)
            assert not telling.done()
            line.talk.answered(link.nonce)
            await telling
            assert link.said[-1][1] == Revoked(b"new")
            # A lost connection is told elsewhere.
            link.refusal = GatewayError("broker-lost", "")
            await line.talk.revoked([b"newer"])

    run(work())


def test_what_cannot_be_a_gateway_or_cannot_send_says_so() -> None:
    async def work() -> None:
        line, link = Line(paired(GATEWAY, 5)), Link()
        async with line.over(link):
            assert line.trouble == "hub-no-certificate" and not link.said
        line, link = Line(), Link()
        link.most_bytes = LEAST_BYTES
        async with line.over(link):
            assert line.trouble == "broker-limits" and not link.said

    run(work())


def test_what_is_longer_than_a_message_keeps_nothing_up() -> None:
    async def work() -> None:
        line, link = Line(), Link()
        link.most_bytes = 2 * LEAST_BYTES
        async with line.over(link):
            line.talk.answered(link.nonce)
            items: Sequence[Item] = [Ask("a/1", bytes(range(256)) * 20), Change("a/2", b"x")]
            assert await line.talk.tell(items)
            assert link.said[-1][1] == Change("a/2", b"x")

    run(work())
