"""The connection to a cloud is made, lost and made again: a fake broker, hours in virtual time."""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from itertools import pairwise

import pytest

from gateway.core.announcement import Address
from gateway.core.bridge import Message, Publication
from gateway.core.bridge_topics import Topics
from gateway.core.errors import GatewayError
from gateway.ports import BrokerLink
from gateway.runtime.bridge import Bridge
from gateway.runtime.bridge_health import OFFLINE, will
from tests.support.virtual_time import VirtualLoop, run

TOPICS = Topics("store-gateway", b"\x01" * 16, b"\x02" * 16)
LOOPBACK = Address("127.0.0.1", 8, 1, usable=False)
HERE, THERE = Address("192.168.1.5", 24, 2, usable=True), Address("10.0.0.5", 24, 2, usable=True)
LOST = GatewayError("broker-lost", "")


def now() -> float:
    return asyncio.get_running_loop().time()


class FakeLink:
    """Satisfies ``BrokerLink``."""

    local = HERE.ip
    most_bytes = 1_000

    def __init__(self) -> None:
        self.sent: list[Publication] = []
        self.closed = False
        self._lost: asyncio.Future[GatewayError] = asyncio.get_running_loop().create_future()

    async def publish(self, publication: Publication) -> None:
        self.sent.append(publication)

    async def subscribe(self, topics: Sequence[str]) -> None:
        pass

    async def share(self, group: str, topics: Sequence[str]) -> bool:
        return True

    async def retained(self, topic: str) -> bytes:
        return b""

    async def message(self) -> Message:
        raise await self.lost()

    def done(self, message: Message) -> None:
        pass

    async def lost(self) -> GatewayError:
        return await asyncio.shield(self._lost)

    def end(self, error: GatewayError) -> None:
        if not self._lost.done():
            self._lost.set_result(error)

    async def close(self, seconds: float) -> None:
        self.closed = True
        self.end(LOST)


class World:
    """Satisfies ``Broker``, ``Network`` and ``Work``."""

    name = "broker.example:8883"

    def __init__(self) -> None:
        self.refusal: GatewayError | None = None
        self.tries: list[float] = []
        self.links: list[FakeLink] = []
        self.there: list[Address] = [LOOPBACK, HERE]
        self.told: list[str] = []
        self.fault: Exception | None = None
        self.topics: Topics | None = TOPICS
        self.deaf = False
        self._changed = asyncio.Event()
        clock = asyncio.get_running_loop()
        assert isinstance(clock, VirtualLoop)
        self.bridge = Bridge(self, False, lambda: self.topics, will, clock, lambda: 0.0, self.words)
        self.bridge.attach(self)
        self.keeping = asyncio.ensure_future(self.bridge.keep(self))

    def words(self, text: str) -> str:
        """As a hub would say it."""
        return text.replace("gateway", "hub")

    async def connect(self, will: Publication) -> BrokerLink:
        self.tries.append(now())
        assert will == Publication(TOPICS.health, OFFLINE, retain=True)
        if self.refusal is not None:
            raise self.refusal
        self.links.append(FakeLink())
        return self.links[-1]

    def addresses(self) -> Sequence[Address]:
        return self.there

    async def changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()
        if self.deaf:
            raise OSError("netlink")

    def close(self) -> None:
        self.there = []

    def stored(self, documents: Collection[str]) -> None:
        self.told += documents

    def over(self, link: BrokerLink, topics: Topics) -> Sequence[Coroutine[None, None, None]]:
        return (self._work(link),)

    async def _work(self, link: BrokerLink) -> None:
        if self.fault is not None:
            raise self.fault
        raise await link.lost()

    def waiting(self) -> int:
        return 3

    def counts(self) -> dict[str, int]:
        return {"published": 1}

    def move(self, *there: Address) -> None:
        self.there = [LOOPBACK, *there]
        self._changed.set()

    @property
    def state(self) -> str:
        return str(self.bridge.status()["state"])

    async def end(self) -> None:
        self.keeping.cancel()
        await asyncio.gather(self.keeping, return_exceptions=True)


def test_it_is_tried_again_and_again_less_and_less_often() -> None:
    async def work() -> None:
        world = World()
        world.refusal = GatewayError("broker-unreachable", "Connection refused")
        await asyncio.sleep(3_600)
        pauses = [later - sooner for sooner, later in pairwise(world.tries)]
        assert pauses[:4] == [1.0, 2.0, 4.0, 8.0] and pauses[-1] == 300.0
        said = world.bridge.status()
        assert said["sentence"] == "The broker does not answer (Connection refused)."
        assert said["broken"] and 0 < said["retry_s"] <= 300 and said["since_s"] == 3_600
        assert (said["waiting"], said["broker"]) == (3, world.name)
        world.refusal = None
        await asyncio.sleep(300)
        assert world.state == "cloud-ok" and world.bridge.is_connected
        await world.end()

    run(work())


def test_a_connection_that_was_good_is_made_again_at_once() -> None:
    async def work() -> None:
        world = World()
        for _ in range(5):
            await asyncio.sleep(100)
            world.links[-1].end(GatewayError("broker-lost", ""))
            await asyncio.sleep(0.5)
            assert world.state == "broker-lost"
        pauses = [later - sooner for sooner, later in pairwise(world.tries)]
        assert max(pauses) < 102
        await world.end()

    run(work())


def test_one_that_is_lost_at_once_each_time_is_not() -> None:
    async def work() -> None:
        world = World()
        world.fault = GatewayError("broker-taken-over", "")
        await asyncio.sleep(600)
        assert len(world.tries) < 12 and world.state == "broker-taken-over"
        await world.end()

    run(work())


def test_another_network_is_tried_at_once() -> None:
    async def work() -> None:
        world = World()
        world.refusal = GatewayError("broker-name", "")
        await asyncio.sleep(1_000)
        world.refusal = None
        world.move(THERE)
        await asyncio.sleep(0.1)
        assert world.tries[-1] == 1_000 and world.state == "cloud-ok"
        # It was made from an address that is ours no more.
        assert world.links[0].local == HERE.ip
        world.move(THERE)
        await asyncio.sleep(0.1)
        assert (await world.links[0].lost()).sentence == "this device has another address now"
        assert len(world.links) == 2
        await world.end()

    run(work())


def test_in_another_network_the_pauses_begin_anew() -> None:
    async def work() -> None:
        world = World()
        world.refusal = GatewayError("broker-name", "")
        await asyncio.sleep(1_000)
        world.move(THERE)
        await asyncio.sleep(5)
        assert world.tries[-3:] == [1_000, 1_001, 1_003]
        await world.end()

    run(work())


def test_a_change_elsewhere_does_not_end_the_connection() -> None:
    async def work() -> None:
        world = World()
        await asyncio.sleep(1)
        world.move(HERE, THERE)
        await asyncio.sleep(10)
        assert len(world.links) == 1 and world.bridge.is_connected
        await world.end()

    run(work())


def test_without_a_network_or_a_store_nobody_is_called() -> None:
    async def work() -> None:
        world = World()
        world.topics = None
        await asyncio.sleep(10)
        assert world.state == "cloud-no-store" and not world.tries
        world.there = [LOOPBACK]
        world.topics = TOPICS
        await asyncio.sleep(1_000)
        assert world.state == "cloud-no-network" and not world.tries
        assert not world.bridge.status()["broken"]
        world.move(HERE)
        await asyncio.sleep(0.1)
        assert world.state == "cloud-ok"
        await world.end()

    run(work())


def test_a_fault_of_ours_does_not_end_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        world = World()
        world.fault = ExceptionGroup("several", [ValueError("secret content")])
        await asyncio.sleep(5)
        assert world.state == "cloud-mistake"
        assert "secret" not in str(world.bridge.status())
        world.fault = None
        await asyncio.sleep(60)
        assert world.state == "cloud-ok"
        await world.end()

    run(work())
    assert "the bridge failed" in caplog.text


def test_the_log_says_it_in_the_words_of_who_is_connected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        world = World()
        world.refusal = GatewayError("broker-not-authorised", "Not authorized")
        await asyncio.sleep(1)
        await world.end()

    run(work())
    assert "does not know this hub, or" in caplog.text


def test_what_the_broker_does_not_take_is_said_until_it_does() -> None:
    async def work() -> None:
        world = World()
        denied = GatewayError("broker-topic-denied", "Not authorized")
        world.bridge.refused("orders", denied)
        await asyncio.sleep(1)
        # It is another connection: nothing is refused yet.
        assert world.state == "cloud-ok"
        world.bridge.refused("orders", denied)
        world.bridge.refused("commands", denied)
        world.bridge.refused("orders", None)
        assert world.state == "broker-topic-denied"
        world.bridge.refused("commands", None)
        assert world.state == "cloud-ok"
        await world.end()

    run(work())


def test_a_broker_that_refuses_a_topic_and_hangs_up() -> None:
    """What was refused is the reason, also between the tries; and they become fewer."""

    async def main() -> None:
        world = World()
        await asyncio.sleep(0.5)
        denied = GatewayError("broker-topic-denied", "Not authorized")
        for _ in range(4):
            world.bridge.refused("commands", denied)
            world.links[-1].end(LOST)
            await asyncio.sleep(0.1)
            status = world.bridge.status()
            assert status["state"] == "broker-topic-denied" and status["retry_s"] is not None
            assert "Not authorized" in status["sentence"]
            await asyncio.sleep(status["retry_s"] + 0.1)
            assert world.state == "cloud-ok"
        # It has another reason, or none that is known.
        world.bridge.refused("commands", denied)
        world.links[-1].end(GatewayError("broker-silent", ""))
        await asyncio.sleep(0.1)
        assert world.state == "broker-silent"
        await asyncio.sleep(world.bridge.status()["retry_s"] + 0.1)
        world.bridge.refused("hub", GatewayError("hub-silent", ""))
        world.links[-1].end(LOST)
        await asyncio.sleep(0.1)
        assert world.state == "broker-lost"
        assert [int(b - a) for a, b in pairwise(world.tries)] == [1, 2, 4, 8, 16]
        await world.end()

    run(main())


def test_it_says_goodbye() -> None:
    async def work() -> None:
        world = World()
        await world.bridge.close(1.0)
        await asyncio.sleep(1)
        world.bridge.stored({"orders/1"})
        assert world.told == ["orders/1"]
        await world.bridge.close(1.0)
        link = world.links[0]
        assert link.closed and link.sent == [Publication(TOPICS.health, OFFLINE, retain=True)]
        await world.end()
        assert not world.there

    run(work())


def test_it_ends_with_the_gateway_while_it_is_connected() -> None:
    async def work() -> None:
        world = World()
        await asyncio.sleep(1)
        await world.end()
        assert (await world.links[0].lost()).code == "broker-lost"

    run(work())


def test_without_news_of_the_network_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        world = World()
        world.deaf = True
        await asyncio.sleep(1)
        world.move(HERE)
        await asyncio.sleep(100)
        assert world.bridge.is_connected and not world.keeping.done()
        await world.end()

    run(work())
    assert "cannot be watched" in caplog.text
