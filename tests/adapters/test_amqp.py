"""The consumer of a quorum queue at a broker that says what a test wants; without a real one."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.adapters import amqp
from gateway.adapters.amqp import AmqpIntake, connect
from gateway.adapters.amqp_settings import AmqpSettings
from gateway.adapters.loop import new_event_loop
from gateway.core.bridge import CAUSES
from gateway.core.errors import GatewayError
from tests.support import amqp as raw
from tests.support.amqp import AmqpServer, amqp_server

KEY = b"store-gateway.ab.up.cd"


def run(work: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await work

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


def at(*ports: int) -> AmqpSettings:
    return AmqpSettings(tuple(("127.0.0.1", port) for port in ports), tls=False, user="hub")


@asynccontextmanager
async def consuming() -> AsyncIterator[tuple[AmqpServer, AmqpIntake]]:
    async with amqp_server() as (server, port):
        intake = await connect(at(port))
        try:
            yield server, intake
        finally:
            await intake.close(1.0)


async def refused(settings: AmqpSettings) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await connect(settings)
    assert caught.value.code in CAUSES
    return caught.value


def test_a_message_has_its_mqtt_topic_and_is_acknowledged_when_it_is_done() -> None:
    async def work() -> None:
        async with consuming() as (server, intake):
            server.deliver(7, KEY, b"update")
            server.deliver(8, KEY, b"")
            first, second = await intake.message(), await intake.message()
            assert (first.topic, first.payload) == ("store-gateway/ab/up/cd", b"update")
            assert second.payload == b""
            intake.done(second)
            assert await server.until(raw.ACK) == struct.pack(">QB", 8, 0)
            intake.done(first)
            assert await server.until(raw.ACK) == struct.pack(">QB", 7, 0)

    run(work())


def test_the_queue_is_a_quorum_of_all_that_gateways_send() -> None:
    async def work() -> None:
        async with amqp_server() as (server, port):
            intake = await connect(replace(at(port), root="our/shops", prefetch=3))
            declared = await server.until(raw.DECLARE)
            assert b"store-gateway-hub" in declared
            assert b"x-queue-typeS\x00\x00\x00\x06quorum" in declared
            bound = await server.until(raw.BIND)
            assert raw.short(b"amq.topic") + raw.short(b"our.shops.*.up.*") in bound
            assert await server.until(raw.QOS) == struct.pack(">IHB", 0, 3, 0)
            await intake.close(1.0)
            assert await server.until(raw.CLOSE)

    run(work())


def test_a_key_that_is_no_topic_is_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with consuming() as (server, intake):
            for number in (1, 2):
                server.deliver(number, b"store-gateway.\xff.up.cd", b"x")
                assert await server.until(raw.REJECT) == struct.pack(">QB", number, 0)
            server.deliver(3, b"x" * 255, b"longest")
            assert (await intake.message()).topic == "x" * 255
            assert intake.dropped == 2

    with caplog.at_level(logging.WARNING):
        run(work())
    assert [record.message for record in caplog.records] == [
        "dropped a message of no MQTT topic; 0 before"
    ]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (AmqpServer.hang_up, "broker-lost"),
        (AmqpServer.cancel, "broker-lost"),
        (lambda server: server.send(b"\x01\x00\x01\x00\x00\x00\x01xx"), "broker-lost"),
        (lambda server: server.send(raw.closing(0, 320, b"shutdown")), "broker-lost"),
        (lambda server: server.send(raw.closing(1, 406, b"timed out")), "broker-refused"),
        (lambda server: server.send(raw.closing(1, 403, b"not yours")), "broker-topic-denied"),
    ],
    ids=["hung up", "no queue", "no AMQP", "shut down", "channel closed", "denied"],
)
def test_every_verb_says_why_it_is_lost(end: Callable[[AmqpServer], None], code: str) -> None:
    async def work() -> None:
        async with consuming() as (server, intake):
            server.deliver(1, KEY, b"taken")
            taken = await intake.message()
            waiting = asyncio.ensure_future(intake.message())
            await asyncio.sleep(0)
            end(server)
            with pytest.raises(GatewayError) as caught:
                await waiting
            assert caught.value.code == code
            assert await intake.lost() is caught.value
            # The message comes to another one.
            intake.done(taken)
            with pytest.raises(GatewayError):
                await intake.message()

    run(work())


def test_what_waits_when_it_is_lost_is_not_handed_on() -> None:
    async def work() -> None:
        async with consuming() as (server, intake):
            server.deliver(1, KEY, b"waits")
            server.hang_up()
            await intake.lost()
            with pytest.raises(GatewayError):
                await intake.message()

    run(work())


@pytest.mark.parametrize(
    ("name", "answer", "code"),
    [
        (raw.START_OK, raw.closing(0, 403, b"ACCESS_REFUSED"), "broker-not-authorised"),
        (raw.OPEN, raw.closing(0, 530, b"no such host"), "broker-not-authorised"),
        (raw.DECLARE, raw.closing(1, 406, b"another kind"), "broker-refused"),
        (raw.BIND, raw.closing(1, 403, b"not yours"), "broker-topic-denied"),
        (raw.CONSUME, raw.closing(1, 404, b"no queue"), "broker-refused"),
    ],
)
def test_a_refusal_is_told(name: tuple[int, int], answer: bytes, code: str) -> None:
    async def work() -> None:
        async with amqp_server() as (server, port):
            server.answers[name] = answer
            assert (await refused(at(port))).code == code

    run(work())


@pytest.mark.parametrize("name", [raw.START_OK, raw.OPEN, raw.DECLARE])
def test_a_broker_that_says_nothing_is_given_up(
    name: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp, "GREETING_SECONDS", 0.2)

    async def work() -> None:
        async with amqp_server() as (server, port):
            server.answers[name] = b""
            assert (await refused(at(port))).code == "broker-silent"

    run(work())


def test_connecting_can_be_cancelled() -> None:
    async def work() -> None:
        for name in (raw.OPEN, raw.DECLARE):
            async with amqp_server() as (server, port):
                server.answers[name] = b""
                connecting = asyncio.ensure_future(connect(at(port)))
                await server.until(name)
                connecting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await connecting

    run(work())


def test_what_does_not_answer_and_what_is_not_amqp() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def work() -> None:
        assert (await refused(at(1))).code == "broker-unreachable"
        assert (await refused(at())).code == "broker-unreachable"
        unknown = replace(at(), hosts=(("no-such-name.invalid", 5672),))
        assert (await refused(unknown)).code == "broker-name"
        async with await asyncio.start_server(web, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            assert (await refused(at(port))).code in ("broker-no-mqtt", "broker-protocol")
            assert (await refused(replace(at(port), tls=True))).code == "broker-no-mqtt"

    run(work())


def test_of_several_nodes_the_first_that_takes_us_is_used() -> None:
    async def work() -> None:
        async with amqp_server() as (strict, first), amqp_server() as (server, second):
            strict.answers[raw.DECLARE] = raw.closing(1, 403, b"not yours")
            intake = await connect(at(1, first, second))
            await server.consuming.wait()
            await intake.close(1.0)
            assert (await refused(at(1, first, 1))).code == "broker-topic-denied"

    run(work())


def test_a_broker_that_does_not_say_goodbye_is_left() -> None:
    async def work() -> None:
        async with amqp_server() as (server, port):
            intake = await connect(at(port))
            server.answers[raw.CLOSE] = b""
            await intake.close(0.05)
            await intake.close(0.05)
            assert (await intake.lost()).code == "broker-lost"

    run(work())


def test_a_file_that_cannot_be_used_is_named_but_not_a_password(tmp_path: Path) -> None:
    async def work() -> None:
        secret = replace(at(1), password_file="a secret that is no file")
        error = await refused(secret)
        assert error.code == "broker-settings"
        assert "secret" not in error.sentence
        (tmp_path / "ca.crt").write_text("no certificate")
        for name in ("ca.crt", "missing"):
            path = str(tmp_path / name)
            error = await refused(replace(at(1), tls=True, ca=path))
            assert error.code == "broker-settings"
            assert path in error.sentence

    run(work())
