"""An MQTT broker, by paho-mqtt: no other module imports it.

Name, TCP and TLS are asyncio's. paho is given a ``Pipe`` for its socket, which hands it whole
packets of bounded size; so it needs no thread, blocks nothing and holds nothing that is too much.
"""

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.adapters.mqtt_pipe import (
    PACKET_BYTES,
    Pipe,
    Settings,
    broker_error,
    open_pipe,
    read_files,
)
from gateway.adapters.mqtt_places import Place, in_turn, places
from gateway.core.bridge import Message, Publication
from gateway.core.errors import GatewayError

# Length and name of topic, properties and so on of a publication.
HEAD_BYTES: Final = 64
GREETING_SECONDS: Final = 15.0
# What is sent to a topic to know that all that is retained there has come.
ECHO: Final = b'{"echo":true}'
ECHO_SECONDS: Final = 10.0
# Shop lines: routers forget a silent connection after some minutes, and it is cheap.
KEEP_ALIVE_SECONDS: Final = 30
# Nothing came for so long though the broker owes an answer: the line is dead. What is on its way
# has time to get there on the slowest line that is of use.
ANSWER_SECONDS: Final = 20.0
SLOWEST_BYTES_PER_SECOND: Final = 1_000
# What comes need not be what is owed: a broker that acknowledges nothing for so long is given up.
LONGEST_SECONDS: Final = 600.0
TICK_SECONDS: Final = 1.0
# Of a topic, in a sentence for people.
SHOWN_TOPIC: Final = 160
# Topics that are named where a broker hangs up; RabbitMQ does so, without a word, at one that its
# access list refuses.
MAX_NAMED: Final = 3

log = logging.getLogger("gateway.cloud")

# PUBACK, MQTT 5.0 section 3.4.2.1; not every broker says so.
NO_SUBSCRIBERS: Final = 0x10

# MQTT 5.0 section 2.4; of CONNACK in 3.1.1 paho makes the same.
_REASONS: Final = {
    0x84: "broker-version", 0x86: "broker-not-authorised", 0x87: "broker-not-authorised",
    0x88: "broker-busy", 0x89: "broker-busy", 0x8A: "broker-not-authorised",
    0x8C: "broker-not-authorised", 0x8D: "broker-silent", 0x8E: "broker-taken-over",
    0x95: "broker-limits", 0x97: "broker-quota", 0x9A: "broker-limits", 0x9B: "broker-limits",
    0x9F: "broker-quota",
}  # fmt: skip


class Mqtt:
    """Satisfies ``Broker``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = f"{settings.host}:{settings.port}"
        # The last connection, and where it was.
        self._last: tuple[Place, MqttLink] | None = None

    @property
    def name(self) -> str:
        """See ``Broker``."""
        return self._name

    async def connect(self, will: Publication) -> "MqttLink":
        """See ``Broker``. The first node that lets us in; of several errors the last."""
        context, password = await asyncio.to_thread(read_files, self._settings)
        met = broker_error("broker-unreachable")
        for place in await self._in_turn():
            self._name = place.name
            try:
                link = await self._connect(place, context, password, will)
            except GatewayError as error:
                met = error
                continue
            self._last = place, link
            return link
        raise met

    async def _in_turn(self) -> Sequence[Place]:
        found = await places(self._settings)
        if self._last is None:
            return found
        place, link = self._last
        return in_turn(found, place, link.lasted)

    async def _connect(
        self, place: Place, context: ssl.SSLContext | None, password: str, will: Publication
    ) -> "MqttLink":
        """MQTT 5, or 3.1.1 if the broker says that it has no 5."""
        try:
            return await self._greet(MQTTProtocolVersion.MQTTv5, place, context, password, will)
        except GatewayError as error:
            if error.code != "broker-version":
                raise
        return await self._greet(MQTTProtocolVersion.MQTTv311, place, context, password, will)

    async def _greet(
        self,
        version: MQTTProtocolVersion,
        place: Place,
        context: ssl.SSLContext | None,
        password: str,
        will: Publication,
    ) -> "MqttLink":
        settings = place.of(self._settings)
        link = MqttLink(settings, version)
        try:
            await open_pipe(link.pipe, settings, context, place.family, place.address)
            await link.greet(password, will)
        except BaseException:
            link.end(broker_error("broker-lost"))
            raise
        return link


class _Client(paho.Client):
    """paho's client on a pipe that is open."""

    def __init__(self, pipe: Pipe, client_id: str, version: MQTTProtocolVersion) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=True if version is MQTTProtocolVersion.MQTTv311 else None,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._pipe = pipe
        # Our window is smaller.
        self.max_inflight_messages_set(0)

    def _create_socket(self) -> Any:
        return self._pipe


class MqttLink:
    """Satisfies ``BrokerLink``."""

    def __init__(self, settings: Settings, version: MQTTProtocolVersion) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self.is_5 = version is MQTTProtocolVersion.MQTTv5
        self.pipe = Pipe(self._read, self._write, self.end, is_5=self.is_5)
        self._client = client = _Client(self.pipe, settings.client_id, version)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_publish = self._published
        client.on_subscribe = self._subscribed
        client.on_socket_register_write = self._has_to_write
        self._greeting: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[GatewayError] = self._loop.create_future()
        # What the broker owes an answer to, by the kind of that answer and number.
        self._owed: dict[tuple[int, int], asyncio.Future[Any]] = {}
        # Topics of publications without an answer, the oldest first.
        self._said: dict[int, str] = {}
        self._window = asyncio.Semaphore(settings.window)
        self._messages: deque[Message] = deque()
        self._message_bytes = 0
        self._heard = asyncio.Event()
        self._looked_for, self._found, self._echoed = "", b"", asyncio.Event()
        self.dropped = 0
        self._tick: asyncio.TimerHandle | None = None
        self._owed_bytes = 0
        self._answered = asyncio.Event()
        self._heard_before, self._heard_at = 0, self._loop.time()
        self._settled_at = self._heard_at
        self._most_bytes = PACKET_BYTES - HEAD_BYTES
        self._local = ""
        self._began = self._loop.time()
        # Seconds, once it is lost.
        self.lasted = 0.0

    async def greet(self, password: str, will: Publication) -> None:
        """CONNECT, until the broker says yes. Raises ``GatewayError``."""
        client, properties = self._client, None
        if self._settings.user or password:
            client.username_pw_set(self._settings.user, password or None)
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        if self.is_5:
            properties = _properties(PacketTypes.CONNECT)
            properties.MaximumPacketSize = PACKET_BYTES
            properties.ReceiveMaximum = self._settings.window
        clean = True if self.is_5 else paho.MQTT_CLEAN_START_FIRST_ONLY
        self._local = self.pipe.local()
        client.connect(
            self._settings.host, self._settings.port, KEEP_ALIVE_SECONDS,
            clean_start=clean, properties=properties,
        )  # fmt: skip
        self._write()
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                await self._greeting
        except TimeoutError:
            raise broker_error("broker-silent", "it does not greet") from None
        self._check()

    @property
    def local(self) -> str:
        """See ``BrokerLink``."""
        return self._local

    @property
    def most_bytes(self) -> int:
        """See ``BrokerLink``."""
        return self._most_bytes

    async def publish(self, publication: Publication) -> None:
        """See ``BrokerLink``."""
        size = len(publication.topic.encode()) + len(publication.payload)
        if size + len(publication.correlation) > self._most_bytes:
            raise broker_error("broker-limits", "a message that is too long for the broker")
        properties = None
        if self.is_5 and publication.correlation:
            properties = _properties(PacketTypes.PUBLISH)
            properties.CorrelationData = publication.correlation
        async with self._window:
            while self._owed_bytes and self._owed_bytes + size > self._settings.window_bytes:
                self._answered.clear()
                await self._answered.wait()
            self._raise_if_lost()
            info = self._client.publish(
                publication.topic, publication.payload, 1, publication.retain, properties
            )
            self._said[info.mid] = publication.topic
            try:
                reason: ReasonCode = await self._answer(PacketTypes.PUBACK, info.mid, size)
            finally:
                del self._said[info.mid]
        if reason.is_failure:
            raise _refusal(reason, publication.topic)
        if publication.heard and reason.value == NO_SUBSCRIBERS:
            raise broker_error("broker-nobody", "nobody listens there")

    async def subscribe(self, topics: Sequence[str]) -> None:
        """See ``BrokerLink``."""
        self._raise_if_lost()
        options = SubscribeOptions(
            qos=1,
            # A command that is retained is known as such also when it is new.
            retainAsPublished=True,
            retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND,
        )
        wanted: Any = [(topic, options if self.is_5 else 1) for topic in topics]
        _, number = self._client.subscribe(wanted)
        await self._subscription(number, topics)

    async def share(self, group: str, topics: Sequence[str]) -> bool:
        """See ``BrokerLink``."""
        shared = [f"$share/{group}/{topic}" for topic in topics] if self.is_5 else topics
        await self.subscribe(shared)
        return self.is_5

    async def retained(self, topic: str) -> bytes:
        """See ``BrokerLink``. What is retained comes before the echo of what is sent after."""
        self._raise_if_lost()
        self._looked_for, self._found = topic, b""
        self._echoed.clear()
        try:
            _, number = self._client.subscribe(topic, 1)
            await self._subscription(number, [topic])
            await self.publish(Publication(topic, ECHO))
            async with asyncio.timeout(ECHO_SECONDS):
                await self._echoed.wait()
            self._raise_if_lost()
            return self._found
        except TimeoutError:
            raise broker_error("broker-silent", "no echo in time") from None
        finally:
            self._looked_for = ""
            if not self._lost.done():
                self._client.unsubscribe(topic)

    async def message(self) -> Message:
        """See ``BrokerLink``."""
        while not self._messages:
            self._raise_if_lost()
            self._heard.clear()
            await self._heard.wait()
        message = self._messages.popleft()
        self._message_bytes -= _bytes(message)
        return message

    def done(self, message: Message) -> None:
        """See ``BrokerLink``."""
        number, quality = message.receipt
        if quality and not self._lost.done():
            self._client.ack(number, quality)

    async def lost(self) -> GatewayError:
        """See ``BrokerLink``."""
        return await asyncio.shield(self._lost)

    def end(self, error: GatewayError) -> None:
        """See ``BrokerLink``."""
        if self._lost.done():
            return
        if error.code == "broker-lost" and not error.sentence and self._said:
            oldest = list(dict.fromkeys(self._said.values()))[:MAX_NAMED]
            error = broker_error("broker-lost", f"without an answer to {', '.join(oldest)}")
        self._lost.set_result(error)
        self.lasted = self._loop.time() - self._began
        if self._tick is not None:
            self._tick.cancel()
        self.pipe.abort()
        if not self._greeting.done():
            # Whoever hangs up instead of greeting may speak another protocol.
            code = "broker-no-mqtt" if error.code == "broker-lost" else error.code
            self._greeting.set_exception(broker_error(code, error.sentence))
            # It may be that nobody waits for it any more.
            self._greeting.exception()
        for owed in self._owed.values():
            owed.cancel()
        self._answered.set()
        self._echoed.set()
        self._heard.set()

    async def close(self, seconds: float) -> None:
        """See ``BrokerLink``."""
        if not self._lost.done():
            self._client.disconnect()
            self._write()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.pipe.closed.wait()
        self.end(broker_error("broker-lost"))

    def _raise_if_lost(self) -> None:
        if self._lost.done():
            raise self._lost.result()

    async def _subscription(self, number: int | None, topics: Sequence[str]) -> None:
        assert number is not None
        reasons: list[ReasonCode] = await self._answer(PacketTypes.SUBACK, number)
        # One for each topic (MQTT 5.0 section 3.9.3); what a broker sends may be fewer.
        for topic, reason in zip(topics, reasons, strict=False):
            if reason.is_failure:
                raise _refusal(reason, topic)

    async def _answer(self, kind: int, number: int, size: int = 0) -> Any:
        if not self._owed:
            self._heard_at = self._settled_at = self._loop.time()
        self._owed_bytes += size
        owed = self._owed[kind, number] = self._loop.create_future()
        try:
            return await owed
        except asyncio.CancelledError:
            # Ours to cancel when the connection is lost, else somebody else's.
            if owed.cancelled() and self._lost.done():
                self._raise_if_lost()
            raise
        finally:
            del self._owed[kind, number]
            self._owed_bytes -= size
            self._answered.set()

    def _check(self) -> None:
        """Once a second: keep alive, and whether what is owed still can come."""
        self._tick = self._loop.call_later(TICK_SECONDS, self._check)
        now, heard = self._loop.time(), self.pipe.heard
        patience = ANSWER_SECONDS + self._owed_bytes / SLOWEST_BYTES_PER_SECOND
        if heard != self._heard_before or not self._owed:
            self._heard_before, self._heard_at = heard, now
        is_late = now - self._settled_at >= max(patience, LONGEST_SECONDS)
        if self._owed and (is_late or now - self._heard_at >= patience):
            self.end(broker_error("broker-silent", "no answer in time"))
            return
        # What is owed has a longer patience; paho would give up a slow line after two keep alives.
        if not self._owed:
            self._client.loop_misc()

    def _read(self) -> None:
        """A packet has come."""
        try:
            met = self._client.loop_read()
        except Exception as error:  # noqa: BLE001
            # It reads bytes that nobody vouches for.
            self.end(broker_error("broker-protocol", type(error).__name__))
            return
        if met is MQTTErrorCode.MQTT_ERR_PROTOCOL:
            self.end(broker_error("broker-protocol"))

    def _has_to_write(self, *_: object) -> None:
        self._loop.call_soon(self._write)

    def _write(self) -> None:
        if not self.pipe.full:
            self._client.loop_write()

    def _connected(
        self, client: object, data: object, flags: object, reason: ReasonCode, said: object
    ) -> None:
        if self._greeting.done():
            return
        error = (
            broker_error(_code(reason, "broker-refused"), str(reason))
            if reason.is_failure
            else None
        )
        error = error or self._take_limits(said)
        if error is None:
            self._greeting.set_result(None)
        else:
            self.end(error)

    def _take_limits(self, said: object) -> GatewayError | None:
        """What the broker takes (MQTT 5.0 section 3.2.2.3)."""
        if not (getattr(said, "RetainAvailable", 1) and getattr(said, "MaximumQoS", 1)):
            return broker_error("broker-limits")
        most = getattr(said, "MaximumPacketSize", PACKET_BYTES)
        self._most_bytes = min(most, PACKET_BYTES) - HEAD_BYTES
        window = self._settings.window
        self._window = asyncio.Semaphore(min(window, getattr(said, "ReceiveMaximum", window)))
        return None

    def _disconnected(
        self, client: object, data: object, flags: Any, reason: ReasonCode, said: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.end(broker_error(_code(reason, "broker-lost"), str(reason)))
        elif reason.getName() == "Keep alive timeout":
            self.end(broker_error("broker-silent", "no answer in time"))
        # Else by ourselves, or the pipe says more.

    def _received(self, client: object, data: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        properties = message.properties
        heard = Message(
            topic, bytes(message.payload), message.retain,
            getattr(properties, "ResponseTopic", ""), getattr(properties, "CorrelationData", b""),
            (message.mid, message.qos),
        )  # fmt: skip
        if topic and topic == self._looked_for:
            self._look(heard)
            return
        size = self._message_bytes + _bytes(heard)
        held, most_bytes = len(self._messages), self._settings.max_waiting_bytes
        if held >= self._settings.max_waiting or size > most_bytes:
            if not self.dropped:
                log.warning("the broker sends more than can be held; messages are dropped")
            self.dropped += 1
            # Else the broker would keep its place, and send nothing more in the end.
            self.done(heard)
            return
        self._messages.append(heard)
        self._message_bytes = size
        self._heard.set()

    def _look(self, heard: Message) -> None:
        """A message at the topic whose retained message is looked for."""
        self.done(heard)
        if heard.retained:
            self._found = heard.payload
        elif heard.payload == ECHO:
            self._echoed.set()

    def _published(
        self, client: object, data: object, number: int, reason: ReasonCode, said: object
    ) -> None:
        self._settle(PacketTypes.PUBACK, number, reason)

    def _subscribed(
        self, client: object, data: object, number: int, reasons: list[ReasonCode], said: object
    ) -> None:
        self._settle(PacketTypes.SUBACK, number, reasons)

    def _settle(self, kind: int, number: int, answer: object) -> None:
        owed = self._owed.get((kind, number))
        if owed is not None and not owed.done():
            self._settled_at = self._loop.time()
            owed.set_result(answer)


def _bytes(message: Message) -> int:
    return len(message.topic) + len(message.payload) + len(message.correlation)


def _properties(kind: int) -> Properties:
    return Properties(kind)  # type: ignore[no-untyped-call]


def _code(reason: ReasonCode, default: str) -> str:
    return _REASONS.get(reason.value, default)


def _refusal(reason: ReasonCode, topic: str) -> GatewayError:
    """What a publication or a subscription that is not taken means."""
    code = _code(reason, "broker-refused")
    # The connection itself was allowed. 0x80 is all that a broker of 3.1.1 says.
    is_denied = code == "broker-not-authorised" or reason.value in (0x80, 0x90)
    if not is_denied:
        return broker_error(code, str(reason))
    shown = topic if len(topic) <= SHOWN_TOPIC else f"{topic[:SHOWN_TOPIC]}…"
    return broker_error("broker-topic-denied", f"{shown}: {reason}")
