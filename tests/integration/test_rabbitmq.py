"""Gateways at a real RabbitMQ cluster of three nodes by MQTT, and hub workers there by AMQP."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, replace
from itertools import cycle

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.adapters.amqp import AmqpIntake, connect
from gateway.adapters.amqp_settings import AmqpSettings
from gateway.adapters.loop import new_event_loop
from gateway.adapters.mqtt import Mqtt, MqttLink
from gateway.adapters.mqtt_pipe import Settings
from gateway.core.bridge import Publication
from gateway.core.errors import GatewayError
from tests.support.gateway import ROOT, eventually
from tests.support.rabbitmq import PASSWORDS, RabbitCluster

pytestmark = [pytest.mark.integration, pytest.mark.cloud]

STORE, GATEWAY = "ab" * 16, "cd" * 16
BASE = f"store-gateway/{STORE}"
UP = f"{BASE}/up/{GATEWAY}"
MARK = f"{BASE}/projected/{GATEWAY}"
WILL = Publication(f"{BASE}/health/{GATEWAY}", b'{"online": false}')
CLIENT_ID = f"store-gateway-{GATEWAY}"
NO_SUBSCRIBERS = 0x10
# What each of two gateways sends, and when something dies.
MESSAGES = 1_500
DEATH_AT = 150
HELD = 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitCluster]:
    folder = tmp_path_factory.mktemp("rabbitmq")
    with RabbitCluster(folder, 3, store=STORE, gateway=GATEWAY) as cluster:
        yield cluster


def run(work: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(100):
            await work

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


def mqtt(cluster: RabbitCluster, node: int, client_id: str = CLIENT_ID) -> Settings:
    return Settings(
        "127.0.0.1", cluster.mqtt_ports[node], tls=False, client_id=client_id,
        user="gateway", password_file=str(cluster.password_file("gateway")),
    )  # fmt: skip


def amqp(cluster: RabbitCluster, *nodes: int) -> AmqpSettings:
    hosts = tuple(("127.0.0.1", cluster.amqp_ports[node]) for node in nodes)
    return AmqpSettings(
        hosts, tls=False, user="hub", password_file=str(cluster.password_file("hub")), prefetch=64
    )


@asynccontextmanager
async def linked(settings: Settings) -> AsyncIterator[MqttLink]:
    link = await Mqtt(settings).connect(WILL)
    try:
        yield link
    finally:
        await link.close(2.0)


@asynccontextmanager
async def consuming(settings: AmqpSettings) -> AsyncIterator[AmqpIntake]:
    intake = await connect(settings)
    try:
        yield intake
    finally:
        await intake.close(2.0)


def acknowledgement(cluster: RabbitCluster, node: int, topic: str) -> int:
    """The reason code of the PUBACK for a message there (MQTT 5.0 section 3.4.2.1)."""
    codes: list[int] = []
    heard = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, "asks", protocol=MQTTProtocolVersion.MQTTv5)

    def published(*arguments: object) -> None:
        codes.append(arguments[3].value)  # type: ignore[attr-defined]
        heard.set()

    def connected(*_: object) -> None:
        client.publish(topic, b"x", 1)

    client.on_connect = connected
    client.on_publish = published
    client.username_pw_set("gateway", PASSWORDS["gateway"])
    client.connect("127.0.0.1", cluster.mqtt_ports[node])
    client.loop_start()
    assert heard.wait(10.0)
    client.disconnect()
    client.loop_stop()
    return codes[0]


def test_a_message_that_nobody_is_there_for_is_acknowledged_as_such(cluster: RabbitCluster) -> None:
    """And so is one for the hub, until a worker has made the queue."""
    assert acknowledgement(cluster, 0, UP) == NO_SUBSCRIBERS

    async def work() -> None:
        async with consuming(amqp(cluster, 1)) as intake:
            # A binding is known at every node by the time it is answered.
            code = await asyncio.to_thread(acknowledgement, cluster, 2, UP)
            assert code == 0
            intake.done(await intake.message())

    run(work())
    # The queue stays when the workers go.
    assert acknowledgement(cluster, 0, UP) == 0

    async def again() -> None:
        async with consuming(amqp(cluster, 0)) as intake:
            message = await intake.message()
            assert (message.topic, message.payload) == (UP, b"x")
            intake.done(message)

    run(again())


def test_an_acknowledgement_waits_for_a_majority(cluster: RabbitCluster) -> None:
    async def work() -> None:
        async with consuming(amqp(cluster, 0)) as intake, linked(mqtt(cluster, 0)) as gateway:
            for node in (1, 2):
                cluster.freeze(node)
            try:
                publishing = asyncio.ensure_future(gateway.publish(Publication(UP, b"majority")))
                _, pending = await asyncio.wait({publishing}, timeout=2.0)
                assert pending
            finally:
                for node in (1, 2):
                    cluster.thaw(node)
            await publishing
            message = await intake.message()
            assert message.payload == b"majority"
            intake.done(message)

    run(work())


def test_what_is_retained_is_at_one_node(cluster: RabbitCluster) -> None:
    async def work() -> None:
        async with linked(mqtt(cluster, 0)) as gateway:
            await gateway.publish(Publication(MARK, b"first", retain=True))
            assert await gateway.retained(MARK) == b"first"
        async with linked(mqtt(cluster, 1)) as gateway:
            assert await gateway.retained(MARK) == b""

    run(work())


def test_a_gateway_has_its_own_topics_only(cluster: RabbitCluster) -> None:
    other = f"store-gateway/{'0' * 32}/up/{GATEWAY}"

    async def lost(do: Callable[[MqttLink], Awaitable[None]], code: str) -> None:
        async with linked(mqtt(cluster, 0)) as gateway:
            with pytest.raises(GatewayError) as caught:
                await do(gateway)
            assert caught.value.code == code
            # RabbitMQ does not only refuse.
            assert (await gateway.lost()).code == "broker-lost"

    async def work() -> None:
        async with linked(mqtt(cluster, 0)) as gateway:
            await gateway.subscribe([f"{BASE}/down/{GATEWAY}", f"{BASE}/command/{GATEWAY}/request"])
        # One that is longer than AMQP can say would end every worker that is given it.
        for topic in (other, f"{BASE}/up/{'0' * 32}", f"{UP}{'0' * 300}", f"{BASE}/down/{GATEWAY}"):
            await lost(lambda link, at=topic: link.publish(Publication(at, b"x")), "broker-lost")  # type: ignore[misc]
        for topic in (f"{BASE}/#", f"{BASE}/down/+", UP):
            await lost(lambda link, at=topic: link.subscribe([at]), "broker-topic-denied")  # type: ignore[misc]

    run(work())


def test_a_gateway_comes_by_tls_and_nobody_comes_without_a_user(cluster: RabbitCluster) -> None:
    async def work() -> None:
        ca = str(cluster.folder / "certs" / "ca.crt")
        port = cluster.mqtts_ports[1]
        sealed = replace(mqtt(cluster, 1), host="localhost", port=port, tls=True, ca=ca)
        async with linked(sealed) as gateway:
            await gateway.publish(Publication(f"{BASE}/health/{GATEWAY}", b"{}"))
        with pytest.raises(GatewayError) as caught:
            await Mqtt(replace(sealed, user="", password_file="")).connect(WILL)
        assert caught.value.code == "broker-not-authorised"

    run(work())


def test_a_worker_is_told_why_it_cannot_consume(cluster: RabbitCluster) -> None:
    async def refused(settings: AmqpSettings) -> str:
        with pytest.raises(GatewayError) as caught:
            await connect(settings)
        return caught.value.code

    async def work() -> None:
        plain = amqp(cluster, 0)
        theirs = str(cluster.password_file("gateway"))
        assert await refused(replace(plain, password_file=theirs)) == "broker-not-authorised"
        gateway = replace(plain, user="gateway", password_file=theirs)
        assert await refused(gateway) == "broker-topic-denied"
        assert await refused(replace(plain, virtual_host="other")) == "broker-not-authorised"
        assert await refused(replace(plain, root="other")) == "broker-topic-denied"
        by_mqtt = replace(plain, hosts=(("127.0.0.1", cluster.mqtt_ports[0]),))
        assert await refused(by_mqtt) == "broker-no-mqtt"

    run(work())


def test_a_worker_consumes_by_tls(cluster: RabbitCluster) -> None:
    async def work() -> None:
        ca = str(cluster.folder / "certs" / "ca.crt")
        hosts = (("localhost", cluster.amqps_ports[1]),)
        settings = replace(amqp(cluster), hosts=hosts, tls=True, ca=ca)
        async with consuming(settings) as intake, linked(mqtt(cluster, 2)) as gateway:
            await gateway.publish(Publication(UP, b"sealed" * 10_000))
            message = await intake.message()
            assert message.payload == b"sealed" * 10_000
            intake.done(message)
        for wrong in (
            replace(settings, ca=""),
            replace(settings, hosts=(("127.0.0.1", hosts[0][1]),)),
        ):
            with pytest.raises(GatewayError) as caught:
                await connect(wrong)
            assert caught.value.code == "broker-certificate"

    run(work())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a state that other threads or tasks bring about."""
    await asyncio.to_thread(eventually, condition, 60.0)


@contextmanager
def worker(settings: AmqpSettings) -> Iterator[tuple[subprocess.Popen[str], set[str], set[str]]]:
    """A worker that can be killed, what it is done with and what it holds."""
    done: set[str] = set()
    held: set[str] = set()
    ready = threading.Event()
    command = [sys.executable, "-m", "tests.support.hub_worker", json.dumps(asdict(settings))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None

        def read() -> None:
            for line in process.stdout or ():
                word, _, payload = line.strip().partition(" ")
                {"done": done, "held": held}.get(word, set()).add(payload)
                ready.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            assert ready.wait(20.0)
            yield process, done, held
        finally:
            process.kill()
            reader.join()


async def publish_all(
    cluster: RabbitCluster, first: int, name: str, acknowledged: set[str]
) -> list[int]:
    """Publish at QoS 1 until everything is acknowledged, at another node where one is lost.

    The nodes that were used are returned.
    """
    wanted = {f"{name}-{number}" for number in range(MESSAGES)}
    used: list[int] = []

    async def one(link: MqttLink, payload: str) -> None:
        await link.publish(Publication(UP, payload.encode()))
        acknowledged.add(payload)

    nodes = cycle([(first + step) % 3 for step in range(3)])
    while rest := sorted(wanted - acknowledged):
        node = next(nodes)
        try:
            async with linked(mqtt(cluster, node, f"{CLIENT_ID}-{name}")) as link:
                used.append(node)
                await asyncio.gather(*(one(link, payload) for payload in rest))
        except GatewayError:
            await asyncio.sleep(0.1)
    return used


async def consume_all(settings: AmqpSettings, done: set[str]) -> None:
    """Be done with everything that comes, at another node when one is lost; until cancelled."""
    hosts = settings.hosts
    while True:
        try:
            async with consuming(replace(settings, hosts=hosts)) as intake:
                while True:
                    message = await intake.message()
                    intake.done(message)
                    done.add(message.payload.decode())
        except GatewayError:
            hosts = (*hosts[1:], hosts[0])
            await asyncio.sleep(0.1)


def test_nothing_acknowledged_is_lost_when_a_node_and_a_worker_die(cluster: RabbitCluster) -> None:
    acknowledged: set[str] = set()
    ours: set[str] = set()

    def of_first() -> int:
        return sum(payload.startswith("g0-") for payload in set(acknowledged))

    async def work() -> None:
        with worker(amqp(cluster, 1)) as (process, theirs, held):
            consumer = asyncio.ensure_future(consume_all(amqp(cluster, 0, 1, 2), ours))
            gateways = [
                asyncio.ensure_future(publish_all(cluster, node, f"g{node}", acknowledged))
                for node in (0, 1)
            ]
            await until(lambda: of_first() >= DEATH_AT and len(held) >= HELD)
            cluster.kill(0)
            process.kill()
            assert of_first() < MESSAGES
            used = await asyncio.gather(*gateways)
            assert used[0][0] == 0
            assert used[0][-1] in (1, 2)
            # What the dead worker held came to the other one.
            await until(lambda: held <= ours and acknowledged <= ours | theirs)
            assert theirs
            consumer.cancel()
            await asyncio.gather(consumer, return_exceptions=True)

    try:
        run(work())
    finally:
        cluster.start(0)
    assert len(acknowledged) == 2 * MESSAGES
    eventually(lambda: acknowledgement(cluster, 0, UP) == 0)
