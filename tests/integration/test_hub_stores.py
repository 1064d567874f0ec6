"""Gateways of two stores, a broker, two workers of a hub: all of it real."""

import json
import signal
from collections.abc import Iterator
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
from tests.support.store import ask, command

pytestmark = [pytest.mark.integration, pytest.mark.cloud]


class World:
    """A head office and a shop, which share the menu, and the hub."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.broker = stack.enter_context(open_to_all(MosquittoBroker(folder / "broker")))
        self.hub = folder / "hub"
        self.hub.mkdir()
        key = hub_command(self.hub, "hub-key").strip()
        (folder / "gateway.toml").write_text(
            "[mqtt]\nenabled = true\nhost = '127.0.0.1'\ntls = false\n"
            f"port = {self.broker.ports[OPEN]}\nhub = '{key}'\ndown = ['menu', 'orders']\n"
        )
        self.gateways = [
            stack.enter_context(
                GatewayProcess(folder / name, "--config", str(folder / "gateway.toml"))
            )
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
        ask(self.gateways[which].folder, "put", document=document, content=content)

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
    for number in range(50):
        world.put(0, f"menu/{number}", price=number)
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


def test_nothing_is_lost_when_a_worker_is_killed_and_when_all_are(world: World) -> None:
    with world.worker() as first, world.worker() as second:
        eventually(lambda: world.cloud(1)["compare"]["ended_s"] is not None, 60.0)
        for number in range(200):
            world.put(1, f"orders/{number}", n=number)
            if number == 80:
                first.end(signal.SIGKILL)
            if number == 150:
                second.end(signal.SIGKILL)
        with world.worker():
            store = SqliteCloud.open(world.hub)
            space = world.stores[1]
            eventually(lambda: len(store.held(space)) == 200, 90.0)
            for number in range(200):
                stored = store.load(space, f"orders/{number}")
                held = Document.load("orders/x", stored.snapshot, stored.changes)
                assert held.project() == {"fields": {"n": number}}
            store.close()
