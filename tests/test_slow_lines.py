"""Bad lines and the broker that is full, as the gateway's own adapter meets them."""

import asyncio

import pytest

from gateway.adapters.mqtt import Mqtt
from gateway.adapters.mqtt_pipe import Settings
from gateway.core.bridge import Publication
from gateway.core.errors import GatewayError
from tests.support.mqtt_wire import PUBLISH, FullBroker, Packets
from tests.support.shape import Shape
from tests.support.slow_lines import breaking, mute, refusing, slow

WILL = Publication("store-gateway/S/health/G", b'{"online": false}', retain=True)


def settings(port: int, *, tls: bool = False) -> Settings:
    return Settings("127.0.0.1", port, tls, "store-gateway-G")


def refused(how: Settings) -> str:
    with pytest.raises(GatewayError) as caught:
        asyncio.run(Mqtt(how).connect(WILL))
    return caught.value.code


@pytest.mark.integration
def test_nobody_there_and_somebody_who_says_nothing() -> None:
    with refusing() as port:
        assert refused(settings(port)) == "broker-unreachable"
    with mute() as port:
        assert refused(settings(port, tls=True)) == "broker-silent"


def test_a_full_broker_lets_in_and_takes_nothing() -> None:
    async def main(port: int) -> None:
        link = await Mqtt(settings(port)).connect(WILL)
        await link.subscribe(["store-gateway/S/command/G/request", "homeassistant/status"])
        for topic in ("json/orders/1", "health/G"):
            with pytest.raises(GatewayError) as caught:
                await link.publish(Publication(f"store-gateway/S/{topic}", b"{}", retain=True))
            assert caught.value.code == "broker-quota"
        await link.close(1.0)

    with FullBroker() as broker:
        asyncio.run(main(broker.port))
        assert broker.refused == 2


def test_packets_of_a_stream_however_it_is_cut() -> None:
    body = b"\x00\x01t\x00\x07\x00" + bytes(200)
    packet = bytes([PUBLISH << 4 | 2, 0x80 | len(body) & 0x7F, len(body) >> 7]) + body
    for size in (1, 2, 3, 150, 1_000):
        packets, stream = Packets(), packet + b"\xc0\x00" + packet
        found = [
            one
            for start in range(0, len(stream), size)
            for one in packets.feed(stream[start : start + size])
        ]
        assert found == [(packet[0], body), (0xC0, b""), (packet[0], body)]


def test_a_seed_is_always_the_same_line() -> None:
    def lives(seed: int) -> list[int]:
        with breaking(1, seed, (10, 1_000)) as proxy:
            return [next(proxy.lives) for _ in range(20)]

    assert lives(1) == lives(1) != lives(2)
    assert all(10 <= life <= 1_000 for life in lives(1))
    with slow(1) as proxy:
        assert proxy.up.line.shape == proxy.down.line.shape == Shape(1_000)
