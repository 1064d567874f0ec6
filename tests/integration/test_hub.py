"""A gateway, a real broker and a hub: changes go both ways, through outages of all of them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.control.messages import ControlError
from gateway.core.bridge_items import Change, Revoked
from gateway.core.primitives import public_of
from tests.core.edits import Author
from tests.support.broker import MosquittoBroker
from tests.support.cloud_site import Site, settings
from tests.support.gateway import GatewayProcess, eventually
from tests.support.stand_in_hub import HubAtBroker, StandInHub
from tests.support.store import ask, command, run

pytestmark = pytest.mark.integration

SIGNING = b"h" * 32


@contextmanager
def site(folder: Path, **other: object) -> Iterator[Site]:
    """A claimed gateway that has a hub in its settings."""
    with MosquittoBroker(folder / "broker") as broker:
        config = folder / "gateway.toml"
        key = public_of(SIGNING).hex()
        config.write_text(settings(broker, 0, json=[], hub=key, down=["menu"], **other))
        with GatewayProcess(folder / "gateway", "--config", str(config)) as gateway:
            assert command(gateway.folder, "claim")["recovery_code"]
            status = ask(gateway.folder, "status")
            broker.allow(status["store_id"], status["peer"])
            yield Site(gateway, broker, config, status["store_id"], status["peer"])


def compared(shop: Site) -> Any:
    """The status once all was compared."""

    def reached() -> Any:
        said = shop.cloud
        is_done = said["compare"]["ended_s"] is not None and not said["compare"]["running"]
        return said if is_done and not said["waiting"] else None

    return eventually(reached, 60.0)


def read(shop: Site, document: str) -> Any:
    """The fields of a document; None while there are none."""
    try:
        return ask(shop.gateway.folder, "get", document=document)["fields"]
    except ControlError:
        return None


def test_changes_go_both_ways_and_what_waited_goes_first(tmp_path: Path) -> None:
    with site(tmp_path) as shop:
        # Nobody listens: it is said, and the store goes on.
        said = shop.becomes("hub-silent")
        assert said["broken"] and not said["hub"]["heard"]
        for number in range(60):
            shop.put(f"orders/{number}", {"n": number, "status": "open"})
        for number in range(12):
            shop.put("orders/1", {"n": number, "text": "x" * 100})
        said = eventually(lambda: one if (one := shop.cloud)["outbox"]["documents"] == 60 else None)
        assert said["outbox"]["bytes"] > 3_000
        assert said["outbox"]["oldest_s"] > 0 and said["waiting"] == 60
        shown = run(shop.gateway.folder, "status")
        assert "60 documents wait (" in shown.stdout and "hub" in shown.stdout
        hub = StandInHub()
        hub.take("menu/1", Author(9).set("name", "Tea", "fields"))
        with HubAtBroker(shop.broker, SIGNING, hub) as there:
            there.started()
            said = compared(shop)
            assert said["state"] == "cloud-ok" and said["outbox"]["documents"] == 0
            assert hub.content("orders/59") == {"n": 59, "status": "open"}
            assert hub.content("orders/1") == {"n": 11, "text": "x" * 100}
            # Merged: far fewer messages than changes.
            assert said["counters"]["sent_messages"] < 12
            assert read(shop, "menu/1") == {"name": "Tea"}
            # Live, up and down.
            began = time.monotonic()
            shop.put("orders/1", {"n": -1})
            eventually(lambda: hub.content("orders/1") == {"n": -1})
            assert time.monotonic() - began < 5.0
            change = Author(8).set("name", "Cake", "fields")
            there.say(shop.store, shop.peer, Change("menu/2", change))
            eventually(lambda: read(shop, "menu/2") == {"name": "Cake"})
            # What came from there is not sent there.
            heard = [item for item in hub.heard if isinstance(item, Change)]
            assert not [item for item in heard if item.document == "menu/2"]
            # What it may not change it does not change.
            there.say(shop.store, shop.peer, Change("orders/1", change), Change("menu/3", b"no"))
            eventually(lambda: shop.cloud["counters"]["refused"] >= 2)
            assert read(shop, "orders/1") == {"n": -1}


def test_a_broker_and_a_gateway_that_were_gone(tmp_path: Path) -> None:
    hub = StandInHub()
    with site(tmp_path) as shop, HubAtBroker(shop.broker, SIGNING, hub):
        compared(shop)
        shop.put("orders/1", {"n": 1})
        eventually(lambda: hub.content("orders/1") == {"n": 1})
        shop.broker.kill(forget=True)
        began = time.monotonic()
        for number in range(20):
            shop.put("orders/2", {"n": number})
        # Devices never wait for the cloud.
        assert time.monotonic() - began < 15.0
        shop.gateway.kill()
        shop.gateway.start()
        assert read(shop, "orders/2") == {"n": 19}
        assert shop.cloud["state"] != "cloud-ok"
        shop.broker.start()
        eventually(lambda: hub.content("orders/2") == {"n": 19}, 90.0)
        compared(shop)


def test_a_revocation_is_told(tmp_path: Path) -> None:
    hub = StandInHub()
    with site(tmp_path) as shop, HubAtBroker(shop.broker, SIGNING, hub):
        compared(shop)
        command(shop.gateway.folder, "revoke", "0" * 31 + "1")
        eventually(lambda: hub.revoked)
        assert [item for item in hub.heard if isinstance(item, Revoked)]


def test_a_hub_that_has_another_key_reaches_nobody(tmp_path: Path) -> None:
    hub = StandInHub()
    with site(tmp_path) as shop, HubAtBroker(shop.broker, b"x" * 32, hub) as there:
        shop.becomes("hub-silent", 60.0)
        there.say(shop.store, shop.peer, Change("menu/1", Author(8).set("a", 1, "fields")))
        eventually(lambda: shop.cloud["counters"]["refused"] >= 2)
        assert ask(shop.gateway.folder, "status")["store"]["documents"] == 0
        assert json.dumps(shop.cloud)
