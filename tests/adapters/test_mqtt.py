"""The MQTT client at a real broker: what it says, what it is told, and how a connection ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.adapters import mqtt, mqtt_pipe
from gateway.adapters.loop import new_event_loop
from gateway.adapters.mqtt import Mqtt, MqttLink
from gateway.adapters.mqtt_pipe import PACKET_BYTES, PASSWORD_BYTES, Pipe, Settings
from gateway.core.bridge import CAUSES, Message, Publication
from gateway.core.errors import GatewayError
from tests.support.broker import CERTIFICATE, OPEN, PASSWORD, MosquittoBroker
from tests.support.proxy import Proxy
from tests.support.shape import Shape

pytestmark = pytest.mark.integration

ROOT = "store-gateway/STORE"
REQUEST = f"{ROOT}/command/GATEWAY/request"
WILL = Publication(f"{ROOT}/health/GATEWAY", b'{"online": false}', retain=True)
CONNACK_VERSION = bytes.fromhex("20020001")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MosquittoBroker]:
    with MosquittoBroker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


def settings(broker: MosquittoBroker, port: int = PASSWORD, user: str = "gateway") -> Settings:
    named = broker.store if user == "gateway" else user
    return Settings(
        "localhost", broker.ports[port], tls=port != OPEN, client_id=f"test-{user}",
        ca=str(broker.folder / "certs" / "ca.crt") if port != OPEN else "",
        user=named, password_file=str(broker.password_file(user)),
    )  # fmt: skip


@asynccontextmanager
async def connected(how: Settings, will: Publication = WILL) -> AsyncIterator[MqttLink]:
    link = await Mqtt(how).connect(will)
    try:
        yield link
    finally:
        await link.close(1.0)


def run(work: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await work

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


async def refused(how: Settings) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await Mqtt(how).connect(WILL)
    assert caught.value.code in CAUSES
    return caught.value


@asynccontextmanager
async def old_broker(port: int) -> AsyncIterator[int]:
    """A way to a broker by which it does not know MQTT 5 (3.1.1, section 3.1.2.2)."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            tasks.add(task)
        first = await reader.read(4_096)
        if first[8] == 5:
            writer.write(CONNACK_VERSION)
            writer.close()
            return
        far_reader, far = await asyncio.open_connection("127.0.0.1", port)
        far.write(first)
        with suppress(OSError):
            await asyncio.gather(copy(reader, far), copy(far_reader, writer))

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(4_096):
            sink.write(data)
        sink.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_command_goes_there_and_an_answer_back(broker: MosquittoBroker) -> None:
    async def work() -> None:
        async with (
            connected(settings(broker)) as gateway,
            connected(settings(broker, user="office"), Publication("x", b"")) as office,
        ):
            await gateway.subscribe([REQUEST])
            await office.subscribe([f"{ROOT}/command/+/response"])
            await office.publish(Publication(REQUEST, b"do", correlation=b"7"))
            heard = await gateway.message()
            assert (heard.topic, heard.payload, heard.retained) == (REQUEST, b"do", False)
            assert heard.correlation == b"7"
            gateway.done(heard)
            answer = Publication(f"{ROOT}/command/GATEWAY/response", b"done", correlation=b"7")
            await gateway.publish(answer)
            answered = await office.message()
            assert (answered.payload, answered.correlation) == (b"done", b"7")

    run(work())


def test_what_is_to_be_heard_is_known_to_be_heard_by_nobody(broker: MosquittoBroker) -> None:
    async def work() -> None:
        topic = f"{ROOT}/answer/x"
        async with connected(settings(broker)) as gateway:
            await gateway.publish(Publication(topic, b"whatever"))
            with pytest.raises(GatewayError) as met:
                await gateway.publish(Publication(topic, b"important", heard=True))
            assert met.value.code == "broker-nobody"
            office = Publication("x", b"")
            async with connected(settings(broker, user="office"), office) as listening:
                await listening.subscribe([topic])
                await gateway.publish(Publication(topic, b"important", heard=True))
                assert (await listening.message()).payload == b"important"

    run(work())


def test_a_password_file_as_some_editors_write_it(broker: MosquittoBroker, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(b"\xef\xbb\xbfa secret of the gateway\r\n")

    async def work() -> None:
        async with connected(replace(settings(broker), password_file=str(path))):
            pass

    run(work())


def test_a_client_certificate_is_enough(broker: MosquittoBroker) -> None:
    certs = broker.folder / "certs"
    how = replace(
        settings(broker, CERTIFICATE), user="", password_file="",
        certificate=str(certs / "STORE.crt"), key=str(certs / "STORE.key"),
    )  # fmt: skip

    async def work() -> None:
        async with connected(how) as link:
            await link.publish(Publication(f"{ROOT}/json/orders/1", b"{}", retain=True))
            assert link.local in ("127.0.0.1", "::1")

    run(work())


Change = Callable[[Settings, MosquittoBroker], Settings]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (
            "broker-not-authorised",
            lambda s, b: replace(s, password_file=str(b.folder / "passwords")),
        ),
        ("broker-not-authorised", lambda s, b: replace(s, user="nobody")),
        ("broker-certificate", lambda s, b: replace(s, host="127.0.0.1")),
        ("broker-certificate", lambda s, b: replace(s, ca="")),
        ("broker-own-certificate", lambda s, b: replace(s, port=b.ports[CERTIFICATE])),
        ("broker-name", lambda s, b: replace(s, host="broker.invalid")),
        ("broker-unreachable", lambda s, b: replace(s, port=1)),
        ("broker-no-mqtt", lambda s, b: replace(s, tls=False)),
        ("broker-no-mqtt", lambda s, b: replace(s, port=b.ports[OPEN])),
        ("broker-settings", lambda s, b: replace(s, ca="/no/such/file")),
        ("broker-settings", lambda s, b: replace(s, certificate=str(b.folder / "passwords"))),
        ("broker-settings", lambda s, b: replace(s, password_file="a secret, not its file")),
        (
            "broker-settings",
            lambda s, b: replace(
                s, password_file=str(b.password_file("gateway", "x" * (PASSWORD_BYTES + 1)))
            ),
        ),
    ],
)
def test_why_there_is_no_connection(code: str, change: Change, broker: MosquittoBroker) -> None:
    how = change(settings(broker), broker)

    async def work() -> None:
        error = await refused(how)
        assert error.code == code
        # No secret is said.
        assert "secret" not in error.sentence and "$7$" not in error.sentence

    run(work())


def test_a_broker_without_mqtt_5(broker: MosquittoBroker) -> None:
    async def work() -> None:
        async with old_broker(broker.ports[OPEN]) as port:
            how = replace(settings(broker, OPEN), port=port)
            async with connected(how) as link:
                assert not link.is_5
                await link.subscribe([REQUEST])
                await link.publish(Publication(f"{ROOT}/json/orders/2", b"{}", correlation=b"1"))
        with pytest.raises(GatewayError) as caught:
            await link.publish(Publication(f"{ROOT}/json/orders/2", b"{}"))
        assert caught.value.code == "broker-lost"

    run(work())


def test_what_the_access_list_does_not_allow_is_told(broker: MosquittoBroker) -> None:
    async def work() -> None:
        async with connected(settings(broker)) as link:
            for topic in ("store-gateway/OTHER/json/orders/1", f"{ROOT}/down/GATEWAY"):
                with pytest.raises(GatewayError) as caught:
                    await link.publish(Publication(topic, b"{}"))
                assert caught.value.code == "broker-topic-denied"
            # The connection goes on.
            await link.publish(Publication(f"{ROOT}/json/orders/1", b"{}"))

    run(work())


def test_a_message_that_is_too_long_is_not_sent(broker: MosquittoBroker) -> None:
    async def work() -> None:
        async with connected(settings(broker)) as link:
            topic = f"{ROOT}/json/orders/1"
            with pytest.raises(GatewayError) as caught:
                await link.publish(Publication(topic, bytes(PACKET_BYTES)))
            assert caught.value.code == "broker-limits"
            await link.publish(Publication(topic, bytes(link.most_bytes - len(topic))))

    run(work())


def test_the_connection_is_lost_with_the_broker(tmp_path: Path) -> None:
    async def work() -> None:
        with MosquittoBroker(tmp_path / "broker") as broker:
            link = await Mqtt(settings(broker)).connect(WILL)
            hearing = asyncio.ensure_future(link.message())
            await asyncio.sleep(0)
            await asyncio.to_thread(broker.kill)
            assert (await link.lost()).code == "broker-lost"
            for asked in (hearing, link.publish(WILL), link.subscribe([REQUEST])):
                with pytest.raises(GatewayError) as caught:
                    await asked
                assert caught.value.code == "broker-lost"
            await link.close(1.0)

    run(work())


def test_another_client_of_the_same_id_takes_over(broker: MosquittoBroker) -> None:
    async def work() -> None:
        async with connected(settings(broker)) as first, connected(settings(broker)):
            # Mosquitto 2.0.11 does not say why.
            assert (await first.lost()).code == "broker-lost"

    run(work())


def test_a_line_that_is_dead_is_given_up(
    broker: MosquittoBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_SECONDS", 1.5)

    async def work() -> None:
        with Proxy(broker.ports[PASSWORD]) as proxy:
            async with connected(replace(settings(broker), port=proxy.port)) as link:
                proxy.stall()
                began = time.monotonic()
                with pytest.raises(GatewayError) as caught:
                    await link.publish(Publication(f"{ROOT}/json/orders/1", b"{}"))
                assert caught.value.code == "broker-silent"
                assert 1.0 < time.monotonic() - began < 10.0

    run(work())


def test_a_line_that_is_slow_is_not_given_up(
    broker: MosquittoBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_SECONDS", 1.5)
    monkeypatch.setattr(mqtt, "SLOWEST_BYTES_PER_SECOND", 50_000)
    # Longer on its way than two keep alives, too.
    monkeypatch.setattr(mqtt, "KEEP_ALIVE_SECONDS", 1)

    async def work() -> None:
        slow = Shape(bytes_a_second=60_000)
        with Proxy(broker.ports[OPEN], up=slow) as proxy:
            async with connected(replace(settings(broker, OPEN), port=proxy.port)) as link:
                began = time.monotonic()
                await link.publish(Publication(f"{ROOT}/json/orders/1", bytes(240_000)))
                assert time.monotonic() - began > 3.0

    run(work())


def test_a_silent_connection_is_kept_alive_or_given_up(
    broker: MosquittoBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "KEEP_ALIVE_SECONDS", 1)

    async def work() -> None:
        with Proxy(broker.ports[PASSWORD]) as proxy:
            async with connected(replace(settings(broker), port=proxy.port)) as link:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(4.0):
                        await link.lost()
                proxy.stall()
                assert (await link.lost()).code == "broker-silent"

    run(work())


async def answering(answers: list[bytes]) -> tuple[asyncio.Server, Settings]:
    """A broker that says what it likes, whatever it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(4_096)
            writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return server, Settings("127.0.0.1", port, tls=False, client_id="x")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("2003008700", "broker-not-authorised"),
        ("2003009700", "broker-quota"),
        ("2003008900", "broker-busy"),
        ("2003008500", "broker-refused"),
        ("20050000022500", "broker-limits"),
        ("20ffffffff01", "broker-protocol"),
        ("20ffffff7f", "broker-protocol"),
        ("2001", "broker-silent"),
        ("2003000009", "broker-protocol"),
        ("200300ff00", "broker-protocol"),
        ("4854545020342e30", "broker-silent"),
    ],
)
def test_greetings_that_are_none(answer: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "GREETING_SECONDS", 0.5)

    async def work() -> None:
        server, how = await answering([bytes.fromhex(answer)])
        async with server:
            assert (await refused(how)).code == code

    run(work())


GREETING = bytes.fromhex("2003000000")


@pytest.mark.parametrize(
    ("goodbye", "code"),
    [("e0018e", "broker-taken-over"), ("e00197", "broker-quota"), ("e000", "broker-lost")],
)
def test_a_broker_may_say_why_it_ends_a_connection(goodbye: str, code: str) -> None:
    async def work() -> None:
        server, how = await answering([GREETING + bytes.fromhex(goodbye)])
        async with server:
            link = await Mqtt(how).connect(WILL)
            assert (await link.lost()).code == code
            await link.close(0.1)

    run(work())


def test_a_broker_that_hangs_up_at_a_topic() -> None:
    """RabbitMQ, where its access list refuses it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4_096)
        writer.write(GREETING)
        await reader.read(4_096)
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            link = await Mqtt(Settings("127.0.0.1", port, tls=False, client_id="x")).connect(WILL)
            with pytest.raises(GatewayError) as caught:
                await link.publish(Publication("R/S/up/G", b"x"))
            assert caught.value.code == "broker-lost"
            assert caught.value.sentence == "without an answer to R/S/up/G"
            assert not link._said

    run(work())


@pytest.mark.parametrize(
    "garbage",
    [
        # At QoS 2 and at 3; longer than is taken; of no kind; a topic longer than its packet.
        "3406000178000100", "3606000178000100", "30818010", "0000", "3003ffff78",
        # Properties that are none, and more than are taken, at QoS 0 and 1.
        "300500017801ff", "30c43e000178c03e" + "2600000000" * 1600,
        "32c63e0001780001c03e" + "2600000000" * 1600,
        # What a client sends, and what answers QoS 2; an acknowledgement that is too long.
        "c000", "50020001", "62020001", "70020001", "f000", "40fe7f" + "00" * 16_382,
    ],
)  # fmt: skip
def test_what_is_not_mqtt_ends_the_connection(garbage: str) -> None:
    async def work() -> None:
        server, how = await answering([GREETING + bytes.fromhex(garbage)])
        async with server:
            link = await Mqtt(how).connect(WILL)
            async with asyncio.timeout(5):
                assert (await link.lost()).code == "broker-protocol"
            assert not link._messages
            await link.close(0.1)

    run(work())


class Transport(asyncio.Transport):
    """One that only says whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reading_now = True

    def pause_reading(self) -> None:
        assert self.is_reading_now
        self.is_reading_now = False

    def resume_reading(self) -> None:
        assert not self.is_reading_now
        self.is_reading_now = True


def test_many_packets_do_not_hold_up_others() -> None:
    async def work() -> None:
        packets: list[bytes] = []
        pipe = Pipe(lambda: packets.append(pipe.recv(99)), lambda: None, lambda error: None)
        transport = Transport()
        pipe.connection_made(transport)
        pipe.data_received(b"\xd0\x00" * 2 * mqtt_pipe.PACKETS_AT_ONCE)
        assert len(packets) == mqtt_pipe.PACKETS_AT_ONCE and not transport.is_reading_now
        await asyncio.sleep(0)
        assert len(packets) == 2 * mqtt_pipe.PACKETS_AT_ONCE
        await asyncio.sleep(0)
        assert transport.is_reading_now
        # Nor is anything read while what it is answered with has no room.
        pipe.pause_writing()
        pipe.data_received(b"\xd0\x00")
        assert len(packets) == 2 * mqtt_pipe.PACKETS_AT_ONCE and not transport.is_reading_now
        pipe.resume_writing()
        await asyncio.sleep(0)
        assert len(packets) == 2 * mqtt_pipe.PACKETS_AT_ONCE + 1 and transport.is_reading_now

    run(work())


def test_packets_that_take_long_leave_others_as_long() -> None:
    async def work() -> None:
        packets: list[float] = []
        all_taken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def take() -> None:
            pipe.recv(99)
            packets.append(loop.time())
            if len(packets) == 3:
                all_taken.set()
            # As a packet that the library needs so long for.
            time.sleep(2 * mqtt_pipe.TURN_SECONDS)

        pipe = Pipe(take, lambda: None, lambda error: None)
        pipe.connection_made(Transport())
        pipe.data_received(b"\xd0\x00" * 3)
        assert len(packets) == 1
        await all_taken.wait()
        # A loop calls back a moment early, by the resolution of its clock.
        assert packets[1] - packets[0] >= 3 * mqtt_pipe.TURN_SECONDS

    run(work())


def test_properties_that_take_the_library_long_end_it() -> None:
    async def work() -> None:
        errors: list[str] = []
        pipe = Pipe(lambda: None, lambda: None, lambda error: errors.append(error.code))
        pipe.connection_made(Transport())
        user = b"\x26" + bytes(4)
        length = len(user) * 500
        said = bytes([length & 0x7F | 0x80, length >> 7]) + user * 500
        pipe.data_received(b"\x30" + bytes([(len(said) + 3) & 0x7F | 0x80, (len(said) + 3) >> 7]))
        pipe.data_received(b"\x00\x01a" + said)
        assert errors == ["broker-protocol"]

    run(work())


def test_an_answer_of_another_kind_is_none() -> None:
    async def work() -> None:
        # A SUBACK of its number, then the PUBACK.
        server, how = await answering([GREETING, bytes.fromhex("90040001008040020001")])
        async with server:
            link = await Mqtt(how).connect(WILL)
            await link.publish(WILL)
            await link.close(0.1)

    run(work())


def test_a_broker_that_acknowledges_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(mqtt, "LONGEST_SECONDS", 0.0)
    monkeypatch.setattr(mqtt, "SLOWEST_BYTES_PER_SECOND", 10_000)
    given_up: asyncio.Future[None]
    ended: asyncio.Future[None]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4_096)
        writer.write(GREETING)
        while not given_up.done():
            writer.write(bytes.fromhex("d000"))
            await asyncio.wait([given_up], timeout=0.1)
        writer.close()
        ended.set_result(None)

    async def work() -> None:
        nonlocal given_up, ended
        loop = asyncio.get_running_loop()
        given_up, ended = loop.create_future(), loop.create_future()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            link = await Mqtt(Settings("127.0.0.1", port, tls=False, client_id="x")).connect(WILL)
            with pytest.raises(GatewayError) as caught:
                await link.publish(Publication("x", bytes(10_000)))
            assert caught.value.code == "broker-silent"
            given_up.set_result(None)
            await ended

    run(work())


@pytest.mark.parametrize("garbage", ["40020001", "900400010000", "d000"])
def test_answers_to_nothing_do_nothing(garbage: str) -> None:
    async def work() -> None:
        server, how = await answering([GREETING + bytes.fromhex(garbage)])
        async with server:
            link = await Mqtt(how).connect(WILL)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await link.lost()
            await link.close(0.1)

    run(work())


def test_a_burst_of_commands_is_done(broker: MosquittoBroker) -> None:
    async def work() -> None:
        async with (
            connected(settings(broker)) as gateway,
            connected(settings(broker, user="office"), Publication("x", b"")) as office,
        ):
            await gateway.subscribe([REQUEST])
            payloads = [str(number).encode() for number in range(300)]
            sending = asyncio.gather(*[office.publish(Publication(REQUEST, p)) for p in payloads])
            for payload in payloads:
                heard = await gateway.message()
                assert heard.payload == payload
                await asyncio.sleep(0.001)
                gateway.done(heard)
            await sending

    run(work())


@pytest.mark.parametrize("most", [(64, 1_000), (1_000, 128)])
def test_a_flood_is_held_up_to_a_bound(most: tuple[int, int]) -> None:
    # Each message has two bytes.
    message = bytes.fromhex("320700017800010041")
    acknowledged = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal acknowledged
        await reader.read(4_096)
        writer.write(GREETING + message * 1_000)
        while data := await reader.read(4_096):
            acknowledged += data.count(bytes.fromhex("40020001"))
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            how = Settings(
                "127.0.0.1", port, tls=False, client_id="x",
                max_waiting=most[0], max_waiting_bytes=most[1],
            )  # fmt: skip
            link = await Mqtt(how).connect(WILL)
            assert await link.message() == Message("x", b"A", receipt=(1, 1))
            # The places of those that are dropped are given back.
            async with asyncio.timeout(5):
                while acknowledged < 1_000 - 1 - 64:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            assert acknowledged == link.dropped
            assert len(link._messages) in (63, 64)
            await link.close(0.1)

    run(work())


def test_a_broker_that_takes_short_packets_only() -> None:
    async def work() -> None:
        server, how = await answering([bytes.fromhex("20080000052700000080")])
        async with server:
            link = await Mqtt(how).connect(WILL)
            assert link.most_bytes == 128 - mqtt.HEAD_BYTES
            await link.close(0.1)

    run(work())


def test_nothing_is_left_when_a_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        server, how = await answering([b""])
        async with server:
            connecting = asyncio.ensure_future(Mqtt(how).connect(WILL))
            await asyncio.sleep(0.2)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    monkeypatch.setattr(mqtt_pipe, "CONNECT_SECONDS", 1.0)
    run(work())
