"""A broker of several nodes: which is tried, in which order, and what is said of it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from gateway.adapters import mqtt, mqtt_places
from gateway.adapters.mqtt import Mqtt
from gateway.adapters.mqtt_pipe import Settings
from gateway.adapters.mqtt_places import STEADY_SECONDS, Place, in_turn
from gateway.core.bridge import Publication
from gateway.core.errors import GatewayError
from tests.support.broker import free_port
from tests.support.mqtt_wire import FullBroker

WILL = Publication("R/S/health/G", b'{"online": false}')
A, B, C = (Place(name, 1_883, socket.AF_INET, (name, 1_883)) for name in "abc")


def at(*ports: int) -> Mqtt:
    first, *others = ports
    more = tuple(("127.0.0.1", port) for port in others)
    return Mqtt(Settings("127.0.0.1", first, False, "x", more=more))


def node(port: int) -> str:
    return f"127.0.0.1:{port}"


async def met(broker: Mqtt) -> str:
    link = await broker.connect(WILL)
    await link.close(0.0)
    return broker.name


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            await work()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("last", "lasted", "turns"),
    [
        (None, 0.0, [A, B, C]),
        # It served: what was retained for us is there.
        (B, STEADY_SECONDS, [B, C, A]),
        # It let us in, and no more.
        (B, STEADY_SECONDS - 1.0, [C, A, B]),
        (C, 0.0, [A, B, C]),
        # The name has other addresses now.
        (Place("b", 1_883, socket.AF_INET, ("z", 1_883)), STEADY_SECONDS, [A, B, C]),
    ],
)
def test_all_have_their_turn(last: Place | None, lasted: float, turns: list[Place]) -> None:
    assert in_turn([A, B, C], last, lasted) == turns


def test_a_node_that_is_gone_or_hangs_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "GREETING_SECONDS", 0.2)

    async def work() -> None:
        gone = free_port()
        with FullBroker() as alive, socket.create_server(("127.0.0.1", 0)) as hangs:
            broker = at(gone, hangs.getsockname()[1], alive.port)
            assert broker.name == node(gone)
            assert await met(broker) == node(alive.port)

    run(work)


def test_one_that_served_is_tried_again_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        with FullBroker() as one, FullBroker() as other:
            broker = at(one.port, other.port)
            assert await met(broker) == node(one.port)
            assert await met(broker) == node(other.port)
            monkeypatch.setattr(mqtt_places, "STEADY_SECONDS", 0.0)
            assert await met(broker) == node(other.port)

    run(work)


def test_where_none_lets_us_in_the_last_is_named() -> None:
    async def work() -> None:
        ports = free_port(), free_port()
        broker = at(*ports)
        with pytest.raises(GatewayError) as caught:
            await broker.connect(WILL)
        assert (caught.value.code, broker.name) == ("broker-unreachable", node(ports[1]))

    run(work)


def test_all_addresses_of_a_name_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one lets us connect, and no more."""
    monkeypatch.setattr(mqtt, "GREETING_SECONDS", 0.2)

    async def work() -> None:
        loop = asyncio.get_running_loop()

        async def resolved(host: str, port: int, **_: object) -> list[object]:
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", to)) for to in ports]
            if host != "broker.example":
                raise socket.gaierror(-2, "Name or service not known")
            return [*found]

        monkeypatch.setattr(loop, "getaddrinfo", resolved)
        with FullBroker() as alive, socket.create_server(("127.0.0.1", 0)) as hangs:
            ports = hangs.getsockname()[1], alive.port
            # A name that is not known does not keep us from the others.
            more = (("broker.example", 7),)
            broker = Mqtt(Settings("unknown.example", 7, False, "x", more=more))
            assert await met(broker) == "broker.example:7"
            with pytest.raises(GatewayError) as caught:
                await Mqtt(Settings("unknown.example", 7, False, "x")).connect(WILL)
            assert (caught.value.code, caught.value.sentence) == ("broker-name", "unknown.example")

    run(work)
