"""The access list of docs/mqtt at a real Mosquitto: a store's user reaches its own topics alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gateway.adapters.mqtt import Mqtt, MqttLink
from gateway.adapters.mqtt_pipe import Settings
from gateway.core.bridge import Publication
from gateway.core.errors import GatewayError
from tests.support.broker import CERTIFICATE, PASSWORD, MosquittoBroker

pytestmark = pytest.mark.integration

# The shop that is there, whose back office the example names, and one that is added.
SHOP, ADDED = "a" * 32, "b" * 32
OFFERED = ("health/G", "json/orders/1", "projected/G", "command/G/response", "answer/x", "up/G")
HEARD = ("projected/G", "command/G/request", "down/G")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MosquittoBroker]:
    with MosquittoBroker(tmp_path_factory.mktemp("broker"), SHOP) as broker:
        before = listed(broker)
        broker.admit(ADDED)
        assert listed(broker) == before and ADDED not in before
        yield broker


def listed(broker: MosquittoBroker) -> str:
    return (broker.folder / "store-gateway.acl").read_text(encoding="utf-8")


@asynccontextmanager
async def linked(
    broker: MosquittoBroker, user: str, port: int = PASSWORD
) -> AsyncIterator[MqttLink]:
    """By a password, or by a certificate whose common name is the user."""
    certs = broker.folder / "certs"
    named = user if user in ("office", "hub") else "gateway"
    how = Settings(
        "localhost", broker.ports[port], True, f"test-{user}-{port}", ca=str(certs / "ca.crt")
    )
    if port == CERTIFICATE:
        shown = str(certs / f"{user}.crt"), str(certs / f"{user}.key")
        how = replace(how, certificate=shown[0], key=shown[1])
    else:
        how = replace(how, user=user, password_file=str(broker.password_file(named)))
    link = await Mqtt(how).connect(Publication("x", b""))
    try:
        yield link
    finally:
        await link.close(1.0)


async def taken(link: MqttLink, topic: str) -> bool:
    """Whether the broker lets this be written."""
    try:
        await link.publish(Publication(topic, b"{}"))
    except GatewayError as error:
        if error.code != "broker-topic-denied":
            raise
        return False
    return True


async def heard(link: MqttLink, count: int) -> list[str]:
    topics = []
    for _ in range(count):
        message = await link.message()
        link.done(message)
        topics.append(message.topic)
    return topics


def topics(store: str, names: tuple[str, ...]) -> list[str]:
    return [f"store-gateway/{store}/{name}" for name in names]


@pytest.mark.parametrize("port", [PASSWORD, CERTIFICATE])
def test_a_store_writes_its_own_topics_alone(broker: MosquittoBroker, port: int) -> None:
    async def work() -> None:
        async with linked(broker, ADDED, port) as added:
            own = [await taken(added, topic) for topic in topics(ADDED, OFFERED)]
            # Nor does it give itself commands, or speak as a hub.
            refused = [*topics(SHOP, (*OFFERED, *HEARD)), *topics(ADDED, HEARD[1:])]
            refused += ["store-gateway/hub", "homeassistant/device/store_gateway_G/config"]
            others = [await taken(added, topic) for topic in refused]
        assert all(own) and not any(others)

    run(work())


@pytest.mark.parametrize("port", [PASSWORD, CERTIFICATE])
def test_a_store_reads_its_own_topics_alone(broker: MosquittoBroker, port: int) -> None:
    """Mosquitto lets it subscribe, and keeps the messages back."""

    async def work() -> None:
        async with (
            linked(broker, ADDED, port) as added,
            linked(broker, SHOP) as shop,
            linked(broker, "office") as office,
            linked(broker, "hub") as hub,
        ):
            everything = [f"store-gateway/{SHOP}/#", "store-gateway/+/down/+", "store-gateway/hub"]
            await added.subscribe(everything)
            await shop.subscribe(topics(SHOP, HEARD))
            for topic in topics(SHOP, OFFERED):
                assert await taken(shop, topic)
            assert await taken(office, f"store-gateway/{SHOP}/command/G/request")
            assert not await taken(office, f"store-gateway/{ADDED}/command/G/request")
            for store in (SHOP, ADDED):
                assert await taken(hub, f"store-gateway/{store}/down/G")
            assert await taken(hub, "store-gateway/hub")
            own = [f"store-gateway/{ADDED}/down/G", "store-gateway/hub"]
            assert await heard(added, 2) == own
            assert sorted(await heard(shop, 3)) == sorted(topics(SHOP, HEARD))

    run(work())


def run(work: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await work

    asyncio.run(main())
