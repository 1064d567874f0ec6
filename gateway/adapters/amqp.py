"""Messages of gateways from a quorum queue of RabbitMQ, by pika: no other module imports it.

RabbitMQ has no shared subscriptions (rabbitmq/rabbitmq-server#8936). What gateways publish by MQTT
is in its exchange ``amq.topic``, ``/`` written as ``.``; a queue there is shared by AMQP 0.9.1.
"""

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import pika
from pika import exceptions
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils import connection_workflow as workflow

from gateway.adapters.amqp_settings import (
    CONNECT_SECONDS,
    GREETING_SECONDS,
    HEARTBEAT_SECONDS,
    AmqpSettings,
    broken,
    broker_error,
    read_files,
)
from gateway.core.bridge import Message
from gateway.core.errors import GatewayError

QUEUE: Final = "store-gateway-hub"
# Where RabbitMQ puts what is published by MQTT.
EXCHANGE: Final = "amq.topic"
# Of messages that are dropped the first is said, and then every hundredth.
SAY_EVERY: Final = 100

log = logging.getLogger("gateway.hub")
# It writes tracebacks of what is an error of ours anyway, with a code and a sentence.
logging.getLogger("pika").setLevel(logging.CRITICAL + 1)

# AMQP 0.9.1 section 1.2, reply codes.
_REPLIES: Final = {
    311: "broker-limits", 320: "broker-lost", 402: "broker-not-authorised",
    403: "broker-topic-denied", 501: "broker-protocol", 502: "broker-protocol",
    505: "broker-protocol", 506: "broker-busy", 530: "broker-not-authorised",
}  # fmt: skip


async def connect(settings: AmqpSettings) -> "AmqpIntake":
    """Consume at the first node that takes us, in their order.

    The queue and its binding are made if they are not there. Raises ``GatewayError`` with a code of
    ``core.bridge.CAUSES``: of several that of the first node that answers.
    """
    context, password = await asyncio.to_thread(read_files, settings)
    met = broker_error("broker-unreachable", "no node is named")
    for host, port in settings.hosts:
        try:
            return await _open(settings, host, port, context, password)
        except GatewayError as error:
            met = error if met.code == "broker-unreachable" else met
    raise met


class AmqpIntake:
    """Satisfies ``Intake``."""

    def __init__(self, connection: "_Connection", settings: AmqpSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._channel: Any = None
        self._messages: deque[Message] = deque()
        self._heard = asyncio.Event()
        self._lost: asyncio.Future[GatewayError] = self._loop.create_future()
        self._closed = asyncio.Event()
        self.dropped = 0
        connection.add_on_close_callback(self._connection_closed)

    async def begin(self) -> None:
        """Make the queue and consume it. Raises ``GatewayError``."""
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                await self._consume()
        except TimeoutError:
            raise broker_error("broker-silent", "it does not let us consume") from None

    async def message(self) -> Message:
        """See ``Intake``."""
        while not self._messages:
            self._raise_if_lost()
            self._heard.clear()
            await self._heard.wait()
        self._raise_if_lost()
        return self._messages.popleft()

    def done(self, message: Message) -> None:
        """See ``Intake``."""
        if not self._lost.done():
            self._channel.basic_ack(message.receipt[0])

    async def lost(self) -> GatewayError:
        """See ``Intake``."""
        return await asyncio.shield(self._lost)

    async def close(self, seconds: float) -> None:
        """See ``Intake``."""
        if not self._lost.done():
            self._connection.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._closed.wait()
        self.end(broker_error("broker-lost"))

    def end(self, error: GatewayError) -> None:
        """The connection is lost, for this reason."""
        if self._lost.done():
            return
        self._lost.set_result(error)
        self._heard.set()
        self._connection.abort()

    async def _consume(self) -> None:
        settings = self._settings
        # Quorum: on a majority of the nodes before a gateway hears that it was taken. No limit of
        # deliveries, which is 20 since RabbitMQ 4.0: a message is not dropped as workers die.
        arguments = {"x-queue-type": "quorum", "x-delivery-limit": -1}
        binding = f"{settings.root.replace('/', '.')}.*.up.*"
        self._channel = channel = await self._answer(
            lambda answer: self._connection.channel(on_open_callback=answer)
        )
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_cancel_callback(self._cancelled)
        await self._answer(
            lambda answer: channel.queue_declare(
                QUEUE, durable=True, arguments=arguments, callback=answer
            )
        )
        await self._answer(
            lambda answer: channel.queue_bind(QUEUE, EXCHANGE, binding, callback=answer)
        )
        await self._answer(
            lambda answer: channel.basic_qos(prefetch_count=settings.prefetch, callback=answer)
        )
        await self._answer(
            lambda answer: channel.basic_consume(QUEUE, self._received, callback=answer)
        )

    async def _answer(self, ask: Callable[[Callable[[Any], None]], object]) -> Any:
        """What the broker answers to something; raises if it is lost before."""
        self._raise_if_lost()
        answered: asyncio.Future[Any] = self._loop.create_future()
        ask(lambda what: None if answered.done() else answered.set_result(what))
        await asyncio.wait({answered, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        self._raise_if_lost()
        return answered.result()

    def _raise_if_lost(self) -> None:
        if self._lost.done():
            raise self._lost.result()

    def _received(self, channel: object, method: Any, properties: object, body: bytes) -> None:
        key, tag = method.routing_key, method.delivery_tag
        if not isinstance(key, str):
            self._drop(tag)
            return
        self._messages.append(Message(key.replace(".", "/"), body, receipt=(tag, 0)))
        self._heard.set()

    def _drop(self, tag: int) -> None:
        """A routing key that is not UTF-8 is of no MQTT topic (MQTT 5.0 section 1.5.4)."""
        if self.dropped % SAY_EVERY == 0:
            log.warning("dropped a message of no MQTT topic; %d before", self.dropped)
        self.dropped += 1
        self._channel.basic_reject(tag, requeue=False)

    def _cancelled(self, frame: object) -> None:
        self.end(broker_error("broker-lost", "the queue is gone"))

    def _channel_closed(self, channel: object, error: BaseException) -> None:
        # A connection that is lost closes its channels first; it knows better why.
        if isinstance(error, exceptions.ChannelClosedByBroker):
            self.end(_met(error))

    def _connection_closed(self, connection: object, error: BaseException) -> None:
        self._closed.set()
        self.end(_met(error))


class _Connection(AsyncioConnection):  # type: ignore[misc]
    """pika's connection, which can also be given up, at any time."""

    def abort(self) -> None:
        """End it now; nothing if it has ended. pika does the same when a heartbeat is missed."""
        if not self.is_closed:
            self._terminate_stream(exceptions.StreamLostError("given up"))


async def _open(
    settings: AmqpSettings, host: str, port: int, context: ssl.SSLContext | None, password: str
) -> AmqpIntake:
    parameters = pika.ConnectionParameters(
        host, port, settings.virtual_host, pika.PlainCredentials(settings.user, password),
        heartbeat=HEARTBEAT_SECONDS, socket_timeout=CONNECT_SECONDS,
        stack_timeout=GREETING_SECONDS,
        ssl_options=pika.SSLOptions(context, host) if context else None,
        client_properties={"connection_name": QUEUE},
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[BaseException | None] = loop.create_future()

    def answer(error: BaseException | None) -> None:
        if not opened.done():
            opened.set_result(error)

    connection = _Connection(
        parameters, lambda _: answer(None), lambda _, error: answer(error), custom_ioloop=loop
    )
    try:
        error = await opened
    except asyncio.CancelledError:
        connection.abort()
        raise
    if error is not None:
        raise _met(error)
    intake = AmqpIntake(connection, settings)
    try:
        await intake.begin()
    except BaseException:
        intake.end(broker_error("broker-lost"))
        raise
    return intake


def _met(error: BaseException) -> GatewayError:
    """What an exception of pika means."""
    match error:
        case exceptions.AMQPConnectionError(args=(workflow.AMQPConnectorException() as inner, *_)):
            return _met(inner)
        case workflow.AMQPConnectionWorkflowFailed():
            return _met(error.exceptions[-1])
        case workflow.AMQPConnectorSocketConnectError(
            exception=workflow.AMQPConnectorStackTimeout()
        ):
            return broker_error("broker-unreachable", "no answer in time")
        case workflow.AMQPConnectorPhaseErrorBase():
            return _met(error.exception)
        case workflow.AMQPConnectorStackTimeout() | exceptions.ConnectionOpenAborted():
            return broker_error("broker-silent", "it does not greet")
        case exceptions.AMQPHeartbeatTimeout():
            return broker_error("broker-silent")
        case exceptions.AuthenticationError() | exceptions.ProbableAuthenticationError():
            return broker_error("broker-not-authorised")
        case exceptions.ProbableAccessDeniedError():
            return broker_error("broker-not-authorised", "it may not use the virtual host")
        case exceptions.IncompatibleProtocolError():
            return broker_error("broker-no-mqtt", "it does not speak AMQP 0.9.1")
        case exceptions.ProtocolSyntaxError():
            return broker_error("broker-protocol")
        case exceptions.ConnectionClosed() | exceptions.ChannelClosed():
            return broker_error(_REPLIES.get(error.reply_code, "broker-refused"), error.reply_text)
        case OSError():
            return broken(error)
    return broker_error("broker-lost")
