"""Gateways of two stores, a broker, two workers of a hub: all of it real."""

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.control.messages import ControlError
from gateway.core.document import Document
from tests.integration.test_hub_workers import command as hub_command
from tests.support.broker import OPEN, MosquittoBroker
from tests.support.gateway import GatewayProcess, eventually
from tests.support.hub import HubWorker, open_to_all
from tests.support.store import ask, command, put
from tests.support.timed_gateway import TimedGateway

pytestmark = [pytest.mark.integration, pytest.mark.cloud]

# Passes at once: less than a gateway waits for an answer of the hub.
SOON_SECONDS = 5.0


class World:
    """A head office and a shop, which share the menu, and the hub."""

    def __init__(
        self, folder: Path, stack: ExitStack, kind: type[GatewayProcess] = GatewayProcess
    ) -> None:
        self.broker = stack.enter_context(open_to_all(MosquittoBroker(folder / "broker")))
        self.hub = folder / "hub"
        self.hub.mkdir()
        key = hub_command(self.hub, "hub-key").strip()
        (folder / "gateway.toml").write_text(
            "[mqtt]\nenabled = true\nhost = '127.0.0.1'\ntls = false\n"
            f"port = {self.broker.ports[OPEN]}\nhub = '{key}'\ndown = ['menu', 'orders']\n"
        )
        self.gateways = [
            stack.enter_context(kind(folder / name, "--config", str(folder / "gateway.toml")))
            for name in ("office", "shop")
        ]
        self.stores = []
        for gateway in self.gateways:
            assert command(gateway.folder, "claim")["recovery_code"]
            self.stores.append(ask(gateway.folder, "status")["store_id"])
        self.settings = folder / "hub.toml"
        self.settings.write_text(
            f"[[share]]\nname = 'menu'\ncollections = ['menu']\nwriters = ['{self.stores[0]}']\n"
        )

    def worker(self) -> HubWorker:
        return HubWorker(self.hub, self.broker, "--config", str(self.settings))

    def put(self, which: int, document: str, **content: object) -> None:
        self.put_all(which, {document: content})

    def put_all(self, which: int, written: Mapping[str, dict[str, Any]]) -> None:
        """All of them on the disk of the gateway, as far as possible at once."""
        folder = self.gateways[which].folder
        put({(folder, document): content for document, content in written.items()})

    def fields(self, which: int, document: str) -> Any:
        try:
            return ask(self.gateways[which].folder, "get", document=document)["fields"]
        except ControlError:
            return None

    def cloud(self, which: int) -> Any:
        return ask(self.gateways[which].folder, "status")["cloud"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def test_a_menu_reaches_a_shop_and_orders_stay_in_their_store(world: World) -> None:
    world.put_all(0, {f"menu/{number}": {"price": number} for number in range(50)})
    world.put(1, "orders/1", total=3)
    with world.worker() as first, world.worker() as second:
        eventually(lambda: world.fields(1, "menu/49") == {"price": 49}, 60.0)
        world.put(0, "menu/1", price=-1)
        eventually(lambda: world.fields(1, "menu/1") == {"price": -1}, 60.0)
        # Not a writer: its own stays its own.
        world.put(1, "menu/2", price=1_000)
        world.put(1, "orders/2", total=4)
        eventually(lambda: sum(counts(world, "refused")) > 0, 60.0)
        eventually(lambda: world.cloud(1)["outbox"]["documents"] == 0, 60.0)
        assert world.fields(0, "menu/2") == {"price": 2}
        assert world.fields(0, "orders/1") is None and world.fields(0, "orders/2") is None
        print(json.dumps(world.cloud(0)), json.dumps(world.cloud(1)))
        said = (first.log() + second.log()).splitlines()
        assert said and all(line.endswith("in share:menu: forbidden") for line in said)


def counts(world: World, name: str) -> list[int]:
    said = json.loads(hub_command(world.hub, "hub-status", "--json"))
    return [worker["broker"]["counters"][name] for worker in said["workers"]]


def test_nothing_is_lost_when_a_worker_is_killed_and_when_all_are(tmp_path: Path) -> None:
    with (
        ExitStack() as stack,
        (world := World(tmp_path, stack, TimedGateway)).worker() as first,
        world.worker() as second,
    ):
        eventually(lambda: world.cloud(1)["compare"]["ended_s"] is not None, 60.0)
        orders = {f"orders/{number}": {"n": number} for number in range(200)}
        for part, worker in (
            (slice(80), first),
            (slice(80, 150), second),
            (slice(150, None), None),
        ):
            world.put_all(1, dict(list(orders.items())[part]))
            if worker is not None:
                worker.end(signal.SIGKILL)
        with world.worker():
            store = SqliteCloud.open(world.hub)
            space = world.stores[1]
            shop = world.gateways[1]
            assert isinstance(shop, TimedGateway)

            def all_are_there() -> bool:
                # Between two comparisons is a minute.
                shop.clock.advance(SOON_SECONDS)
                return len(store.held(space)) == 200

            eventually(all_are_there, 60.0)
            for number in range(200):
                stored = store.load(space, f"orders/{number}")
                held = Document.load("orders/x", stored.snapshot, stored.changes)
                assert held.project() == {"fields": {"n": number}}
            store.close()
