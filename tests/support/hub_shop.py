"""A shop in its own time, its line to a broker, and a hub behind it: all of them the real ones.

Both lines to the broker are proxies: what goes up is counted at the gateway's, and each may be cut.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.document import Document
from gateway.core.guard import inspect_update
from gateway.core.hub_tokens import lines, made
from gateway.core.records import StoredDocument
from tests.support.broker import OPEN, MosquittoBroker
from tests.support.cloud_site import settings
from tests.support.gateway import eventually
from tests.support.hub import HubWorker, open_to_all
from tests.support.mqtt_wire import PUBLISH, Packets
from tests.support.proxy import FREE, Passed, Proxy
from tests.support.shape import Shape
from tests.support.store import ask, command
from tests.support.timed_gateway import TimedGateway

# How often it is looked how a gateway does.
LOOK_SECONDS = 0.1
# So much time passes at once for a gateway whose hub is silent: less than it waits for an answer.
SILENT_SECONDS = 5.0

# May read and write all at the hub's API.
TOKEN = made(bytes(32))

# Told whether a packet goes up, and its kind.
OnPacket = Callable[[bool, int], None]


class Counted:
    """What a gateway says to a hub: ``messages``, and ``payload_bytes`` of them together.

    ``on_packet`` is told before any packet goes on, in the proxy's thread.
    """

    def __init__(self) -> None:
        self.messages = self.payload_bytes = 0
        self.on_packet: OnPacket = lambda up, kind: None
        self._ways: dict[tuple[int, bool], Packets] = {}

    def before(self, passed: Passed, up: bool, data: bytes) -> bool:
        """See ``Proxy``."""
        for head, body in self._ways.setdefault((id(passed), up), Packets()).feed(data):
            if up and head >> 4 == PUBLISH:
                self._count(body)
            self.on_packet(up, head >> 4)
        return True

    def _count(self, body: bytes) -> None:
        """A PUBLISH of QoS 1 without properties (MQTT 5.0 section 3.3)."""
        end = 2 + int.from_bytes(body[:2], "big")
        if b"/up/" in body[2:end]:
            assert body[end + 2] == 0, "properties are not counted"
            self.messages += 1
            self.payload_bytes += len(body) - end - 3


@dataclass
class HubShop:
    """``line``: between the gateway and the broker; ``far``: between the broker and the hub."""

    folder: Path
    gateway: TimedGateway
    broker: MosquittoBroker
    hub: HubWorker
    line: Proxy
    far: Proxy
    counted: Counted
    store: str
    recovery_code: str

    @property
    def cloud(self) -> Any:
        """What the gateway's status says of the cloud."""
        return ask(self.gateway.folder, "status")["cloud"]

    def becomes(self, check: Callable[[Any], object], seconds: float = 60.0) -> Any:
        """What the status says of the cloud once that is so; pauses between tries are skipped."""

        def reached() -> Any:
            said = self.cloud
            if said["retry_s"]:
                self.gateway.clock.advance(said["retry_s"])
            elif said["state"] == "hub-silent":
                self.gateway.clock.advance(SILENT_SECONDS)
            return said if check(said) else None

        return eventually(reached, seconds, LOOK_SECONDS)

    def compared(self, seconds: float = 60.0) -> Any:
        """The status once all was compared and nothing waits."""
        return self.becomes(_is_compared, seconds)

    def api(self, document: str, changes: Mapping[str, Any] | None = None, root: str = "") -> Any:
        """A document as the hub's API shows it; with ``changes`` that patches it first."""
        path = f"api/v1/stores/{self.store}/documents/{document}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if changes is not None:
            headers["Content-Type"] = "application/merge-patch+json"
            body = json.dumps(changes).encode()
            self._requested(
                Request(f"{self._address}{path}?root={root}", body, headers, method="PATCH")
            )
        return self._requested(Request(f"{self._address}{path}", headers=headers))

    @property
    def _address(self) -> str:
        return str(self.hub.facts["api"])

    @staticmethod
    def _requested(request: Request) -> Any:
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def at_hub(self) -> dict[str, StoredDocument]:
        """All documents of the store as they are in the hub's database."""
        cloud = SqliteCloud.open(self.folder / "hub")
        try:
            return {
                one.document: cloud.load(self.store, one.document) for one in cloud.held(self.store)
            }
        finally:
            cloud.close()


def at_gateway(folder: Path) -> dict[str, StoredDocument]:
    """All documents on the disk of a gateway that was stopped."""
    store = SqliteStore.open(folder)
    try:
        return {name: store.load(name) for name in store.names()}
    finally:
        store.close()


def loaded(stored: Mapping[str, StoredDocument]) -> dict[str, Document]:
    """Documents as they are stored."""
    return {name: Document.load(name, one.snapshot, one.changes) for name, one in stored.items()}


def out_of_order(stored: Mapping[str, StoredDocument]) -> list[str]:
    """Documents of which a change came before one that it refers to, or that its device made
    before it."""
    return [name for name, one in stored.items() if _came_early(name, one)]


def _came_early(name: str, stored: StoredDocument) -> bool:
    document = Document.load(name, stored.snapshot, ())
    for change in stored.changes:
        document.apply([(change, inspect_update(change))])
        if document.early:
            return True
    return False


def _is_compared(said: Mapping[str, Any]) -> bool:
    is_done = said["compare"]["ended_s"] is not None and not said["compare"]["running"]
    return is_done and not said["waiting"] and not said["outbox"]["left"]


@contextmanager
def hub_shop(folder: Path, shape: Shape = FREE, **other: object) -> Iterator[HubShop]:
    """All of them, and nothing waits; ``shape``: of the gateway's line, ``other``: its settings."""
    with ExitStack() as stack:
        broker = stack.enter_context(open_to_all(MosquittoBroker(folder / "broker")))
        counted = Counted()
        line = Proxy(broker.ports[OPEN], up=shape, down=shape, before=counted.before)
        stack.enter_context(line)
        far = stack.enter_context(Proxy(broker.ports[OPEN]))
        hub = stack.enter_context(_hub(folder, far.port))
        file = folder / "gateway.toml"
        key = hub.facts["key"]
        file.write_text(settings(broker, line.port, tls=False, json=[], hub=key, **other))
        gateway = stack.enter_context(TimedGateway(folder / "gateway", "--config", str(file)))
        code = command(gateway.folder, "claim")["recovery_code"]
        store = ask(gateway.folder, "status")["store_id"]
        shop = HubShop(folder, gateway, broker, hub, line, far, counted, store, code)
        shop.compared()
        yield shop


def _hub(folder: Path, port: int) -> HubWorker:
    (folder / "hub").mkdir()
    tokens, file = folder / "tokens.toml", folder / "hub.toml"
    tokens.write_text(lines("office", TOKEN, ["read", "write"], ["*"]))
    file.write_text(f"[api]\nenabled = true\nport = 0\ntokens_file = {json.dumps(str(tokens))}\n")
    return HubWorker(folder / "hub", None, "--broker", f"127.0.0.1:{port}", "--config", str(file))
