"""A back office at a broker: paho-mqtt as its users use it, with a thread of its own."""

import json
import ssl
import threading
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support.broker import PASSWORD, PASSWORDS, MosquittoBroker
from tests.support.gateway import eventually


class Office:
    """``with Office(broker, topics) as office``: hears ``topics``.

    ``retained``: the last payload of each topic, as one that comes now would find it; ``heard``:
    all messages in their order. It comes again by itself.
    """

    def __init__(self, broker: MosquittoBroker, *topics: str, user: str = "office") -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.answers: list[tuple[str, dict[str, Any], bytes]] = []
        self._topics = topics
        self._subscribed = threading.Event()
        client = self._client = Client(
            CallbackAPIVersion.VERSION2, f"office-{id(self)}", protocol=MQTTProtocolVersion.MQTTv5
        )
        client.username_pw_set(user, PASSWORDS[user])
        context = ssl.create_default_context(cafile=str(broker.folder / "certs" / "ca.crt"))
        client.tls_set_context(context)
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._connected
        client.on_message = self._message
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.connect("localhost", broker.ports[PASSWORD])

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._subscribed.wait(10.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def retained(self) -> dict[str, Any]:
        """Topic → JSON; nothing for a topic that was cleared."""
        last = dict(list(self.heard))
        return {topic: json.loads(payload) for topic, payload in last.items() if payload}

    def publish(
        self,
        topic: str,
        payload: object,
        *,
        retain: bool = False,
        answer_topic: str = "",
        correlation: bytes = b"",
    ) -> None:
        """Publish JSON, or bytes as they are; the broker has it on return."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if answer_topic:
            properties.ResponseTopic = answer_topic
        if correlation:
            properties.CorrelationData = correlation
        sent = self._client.publish(topic, data, 1, retain, properties)
        sent.wait_for_publish(10.0)

    def answer(self, transaction: str) -> dict[str, Any]:
        """The answer to a transaction, taken out of those that came."""

        def taken() -> dict[str, Any] | None:
            for one in self.answers:
                if one[1].get("transaction") == transaction:
                    self.answers.remove(one)
                    return one[1]
            return None

        found: dict[str, Any] = eventually(taken)
        return found

    def _connected(self, client: Client, *_: object) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def _message(self, client: Client, data: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))
        if "/response" in message.topic or "/answer/" in message.topic:
            correlation = getattr(message.properties, "CorrelationData", b"")
            self.answers.append((message.topic, json.loads(message.payload), correlation))
