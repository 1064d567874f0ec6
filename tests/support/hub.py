"""A worker of a hub as a process, and a gateway that talks to a hub over a real broker."""

import json
import os
import sys
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.control.client import ControlClient
from gateway.core.bridge_items import Item, Pong
from tests.support.broker import OPEN, PASSWORD, MosquittoBroker
from tests.support.cloud import HandGateway
from tests.support.gateway import ROOT as CHECKOUT
from tests.support.gateway import eventually
from tests.support.process import Program

EVERYBODY = "pattern readwrite #"


def hub_settings(broker: MosquittoBroker) -> str:
    """The settings of a hub that has the example's password at this broker, by TLS."""
    authority = broker.folder / "certs" / "ca.crt"
    return (
        f"[broker]\nhost = 'localhost'\nport = {broker.ports[PASSWORD]}\ntls = true\n"
        f"ca = {json.dumps(str(authority))}\nuser = 'hub'\n"
        f"password_file = {json.dumps(str(broker.password_file('hub')))}\n"
    )


def open_to_all(broker: MosquittoBroker) -> MosquittoBroker:
    """A broker, not yet started, at whose ``OPEN`` port everybody may do everything."""
    path = broker.folder / "mosquitto.conf"
    path.write_text(path.read_text().replace("allow_anonymous false", "allow_anonymous true"))
    broker.allow("GATEWAY", EVERYBODY)
    return broker


class HubWorker(Program):
    """``with HubWorker(folder, broker) as worker``: one worker; ``facts`` is its ready line."""

    def __init__(self, folder: Path, broker: MosquittoBroker | None, *arguments: str) -> None:
        """``broker``: None where the settings name another."""
        super().__init__(folder.parent / f"{folder.name}.log")
        self.folder = folder
        address = ["--broker", f"127.0.0.1:{broker.ports[OPEN]}"] if broker else []
        self._command = [
            sys.executable, "-m", "gateway", "hub", "--json", "--data", str(folder),
            *address, *arguments,
        ]  # fmt: skip
        self.facts: dict[str, Any] = {}

    def start(self) -> None:
        """Start it, and wait until it hears gateways."""
        self.launch(self._command, reads=True, cwd=CHECKOUT)
        self.facts = self.line()
        eventually(lambda: self.status()["hearing"])

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        return ControlClient(self.folder / f"hub-{self.facts['pid']}.sock").request("status")


class BrokerGateway:
    """A ``HandGateway`` at a broker, with a thread of its own: it answers what comes, and compares
    when a worker came or went. ``gateway`` is for those who hold ``lock``."""

    def __init__(
        self,
        broker: MosquittoBroker | int,
        gateway: HandGateway,
        *,
        client_id: str = "",
        user: str = "",
        password: str = "",
    ) -> None:
        """``broker``: or the port of another that knows this user."""
        self.gateway = gateway
        self.lock = threading.RLock()
        self.called = 0
        self.sent: deque[Any] = deque(maxlen=1_000_000)
        self._ready = threading.Event()
        name = client_id or f"gateway-{gateway.peer.hex()}-{os.getpid()}"
        client = self._client = Client(
            CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.max_inflight_messages_set(1_000)
        client.max_queued_messages_set(0)
        client.on_message = self._message
        client.on_connect = self._connected
        client.on_subscribe = lambda *_: self._ready.set()
        if user:
            client.username_pw_set(user, password)
        client.connect("127.0.0.1", broker if isinstance(broker, int) else broker.ports[OPEN])

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._ready.wait(10.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, *items: Item) -> None:
        """Send these items."""
        with self.lock:
            for message in self.gateway.say(*items):
                self.publish(message.topic, message.payload)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send something else."""
        self.sent.append(self._client.publish(topic, payload, 1))

    def wait_until_sent(self) -> None:
        """Until the broker has all that was sent."""
        while self.sent:
            self.sent.popleft().wait_for_publish(30.0)

    def ponged(self, nonce: int) -> bool:
        """Whether the hub answered a ping."""
        with self.lock:
            return Pong(nonce) in self.gateway.heard

    def compare(self) -> None:
        """Begin an exchange."""
        with self.lock:
            self.say(self.gateway.opening())

    def _connected(self, client: Client, *_: object) -> None:
        client.subscribe([(self.gateway.topics.down, 1), (self.gateway.topics.hub, 1)])

    def _message(self, client: Client, data: object, message: MQTTMessage) -> None:
        with self.lock:
            if message.topic == self.gateway.topics.hub:
                self.called += 1
                self.compare()
                return
            for answer in self.gateway.hear(bytes(message.payload)):
                self.publish(answer.topic, answer.payload)
