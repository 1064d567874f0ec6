"""A gateway, a real broker and a hub: changes go both ways, through outages of all of them.

The gateway's time is its own (``tests.support.timed_gateway``): it is not waited for a greeting.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.control.messages import ControlError
from gateway.core.bridge_items import Change
from gateway.core.cloud_records import CloudChange
from gateway.core.document import Document
from gateway.core.primitives import public_of
from tests.core.edits import Author
from tests.integration.test_hub_api import Asking
from tests.integration.test_hub_api import command as hub_command
from tests.support.broker import MosquittoBroker
from tests.support.cloud_site import STORE, Site, claimed, settings
from tests.support.gateway import eventually
from tests.support.hub import HubWorker, hub_settings
from tests.support.stand_in_hub import HubAtBroker, StandInHub
from tests.support.store import ask, command, put, run
from tests.support.timed_gateway import TimedGateway

pytestmark = pytest.mark.integration

SIGNING = b"h" * 32
# Passes at once for a gateway whose hub is silent: less than it waits for an answer.
SILENT_SECONDS = 5.0


@dataclass
class HubSite(Site):
    """A claimed gateway that has a hub in its settings; ``hub``: the folder of its workers."""

    gateway: TimedGateway
    hub: Path

    def becomes(self, state: str, seconds: float = 60.0) -> Any:
        return self.until(lambda said: said["state"] == state, seconds)

    def until(self, holds: Any, seconds: float = 60.0) -> Any:
        """The status of the cloud once that is so; no pause between two tries is waited for."""

        def reached() -> Any:
            said = self.cloud
            if holds(said):
                return said
            if said["retry_s"] or not said["hub"]["heard"]:
                self.gateway.clock.advance(said["retry_s"] or SILENT_SECONDS)
            return None

        return eventually(reached, seconds)

    def compared(self) -> Any:
        """The status once all was compared."""

        def is_done(said: Any) -> bool:
            compare = said["compare"]
            return compare["ended_s"] is not None and not compare["running"] + said["waiting"]

        return self.until(is_done)

    def worker(self) -> HubWorker:
        """A worker of the hub, with its API."""
        tokens = self.hub / "tokens.toml"
        more = f"[api]\nenabled = true\nport = 0\ntokens_file = {json.dumps(str(tokens))}\n"
        file = self.hub / "hub.toml"
        file.write_text(hub_settings(self.broker) + more)
        return HubWorker(self.hub, None, "--config", str(file))

    def held(self, document: str) -> Any:
        """The fields of a document in the hub's database."""
        with closing(SqliteCloud.open(self.hub)) as store:
            stored = store.load(self.store, document)
        return Document.load(document, stored.snapshot, stored.changes).project().get("fields")

    def read(self, document: str) -> Any:
        """The fields of a document at the gateway; None while there are none."""
        try:
            return ask(self.gateway.folder, "get", document=document)["fields"]
        except ControlError:
            return None


@contextmanager
def site(folder: Path, key: str = "") -> Iterator[HubSite]:
    """``key``: of another hub than that in the folder."""
    hub = folder / "hub"
    hub.mkdir()
    with MosquittoBroker(folder / "broker", STORE) as broker:
        config = folder / "gateway.toml"
        key = key or hub_command(hub, "hub-key")["key"]
        config.write_text(settings(broker, 0, json=[], hub=key, down=["menu"]))
        with TimedGateway(folder / "gateway", "--config", str(config)) as gateway:
            yield HubSite(gateway, broker, config, STORE, claimed(gateway), hub)


def test_changes_go_both_ways_and_what_waited_goes_first(tmp_path: Path) -> None:
    with site(tmp_path) as shop:
        # Nobody listens: it is said, and the store goes on.
        said = shop.becomes("hub-silent")
        assert said["broken"] and not said["hub"]["heard"]
        orders = {f"orders/{number}": {"n": number, "status": "open"} for number in range(60)}
        put({(shop.gateway.folder, name): content for name, content in orders.items()})
        for number in range(12):
            shop.put("orders/1", {"n": number, "text": "x" * 100})
        said = eventually(lambda: one if (one := shop.cloud)["outbox"]["documents"] == 60 else None)
        assert said["outbox"]["bytes"] > 60 * 40
        assert said["outbox"]["oldest_s"] > 0 and said["waiting"] == 60
        shown = run(shop.gateway.folder, "status")
        assert "60 documents wait (" in shown.stdout and "hub" in shown.stdout
        made = hub_command(shop.hub, "hub-token", "--name", "office", "--write")
        (shop.hub / "tokens.toml").write_text(made["lines"])
        tea = Author(9).set("name", "Tea", "fields")
        with closing(SqliteCloud.open(shop.hub)) as store:
            store.append([CloudChange(shop.store, "menu/1", tea, "")])
        with shop.worker() as hub:
            said = shop.compared()
            assert said["state"] == "cloud-ok" and said["outbox"]["documents"] == 0
            assert shop.held("orders/59") == {"n": 59, "status": "open"}
            assert shop.held("orders/1") == {"n": 11, "text": "x" * 100}
            # Merged: far fewer messages than changes.
            assert said["counters"]["sent_messages"] < 12
            assert shop.read("menu/1") == {"name": "Tea"}
            # Live, up and down.
            began = time.monotonic()
            shop.put("orders/1", {"n": -1})
            eventually(lambda: shop.held("orders/1") == {"n": -1})
            assert time.monotonic() - began < 5.0
            office = Asking(hub.facts["api"].rstrip("/"), made["token"])
            office(f"/api/v1/stores/{shop.store}/documents/menu/2", {"name": "Cake"})
            eventually(lambda: shop.read("menu/2") == {"name": "Cake"})


def test_what_a_hub_may_not_change_stays_and_nothing_goes_back(tmp_path: Path) -> None:
    hub = StandInHub()
    key = public_of(SIGNING).hex()
    with site(tmp_path, key) as shop, HubAtBroker(shop.broker, SIGNING, hub) as there:
        shop.compared()
        shop.put("orders/1", {"n": -1})
        change = Author(8).set("name", "Cake", "fields")
        there.say(shop.store, shop.peer, Change("menu/2", change))
        eventually(lambda: shop.read("menu/2") == {"name": "Cake"})
        there.say(shop.store, shop.peer, Change("orders/1", change), Change("menu/3", b"no"))
        eventually(lambda: shop.cloud["counters"]["refused"] >= 2)
        assert shop.read("orders/1") == {"n": -1}
        # What came from there is not sent there: this would have been sent before.
        shop.put("orders/2", {"n": 1})
        eventually(lambda: hub.content("orders/2") == {"n": 1})
        heard = [item.document for item in hub.heard if isinstance(item, Change)]
        assert "orders/1" in heard and "menu/2" not in heard


def test_a_broker_and_a_gateway_that_were_gone(tmp_path: Path) -> None:
    with site(tmp_path) as shop, shop.worker():
        shop.compared()
        shop.put("orders/1", {"n": 1})
        eventually(lambda: shop.held("orders/1") == {"n": 1})
        shop.broker.kill(forget=True)
        began = time.monotonic()
        for number in range(20):
            shop.put("orders/2", {"n": number})
        # Devices never wait for the cloud.
        assert time.monotonic() - began < 15.0
        shop.gateway.kill()
        shop.gateway.start()
        assert shop.read("orders/2") == {"n": 19}
        assert shop.cloud["state"] != "cloud-ok"
        shop.broker.start()
        shop.until(lambda said: shop.held("orders/2") == {"n": 19})
        shop.compared()


def test_a_revocation_is_told(tmp_path: Path) -> None:
    with site(tmp_path) as shop, shop.worker(), closing(SqliteCloud.open(shop.hub)) as store:
        shop.compared()
        assert not store.revocations([shop.store])
        command(shop.gateway.folder, "revoke", "0" * 31 + "1")
        eventually(lambda: len(store.revocations([shop.store])) == 1)


def test_a_hub_that_has_another_key_reaches_nobody(tmp_path: Path) -> None:
    key = public_of(SIGNING).hex()
    with site(tmp_path, key) as shop, HubAtBroker(shop.broker, b"x" * 32, StandInHub()) as there:
        said = shop.becomes("hub-other-key")
        assert said["broken"] and "mqtt.hub" in said["do"]
        there.say(shop.store, shop.peer, Change("menu/1", Author(8).set("a", 1, "fields")))
        eventually(lambda: shop.cloud["counters"]["refused"] >= 2)
        assert ask(shop.gateway.folder, "status")["store"]["documents"] == 0
        assert json.dumps(shop.cloud)
