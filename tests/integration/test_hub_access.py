"""A worker of a hub at a broker with TLS, passwords and the access list of the example."""

from pathlib import Path

import pytest

from gateway.core.bridge_items import Ping, Wants
from tests.integration.test_hub_workers import gateway
from tests.support.broker import PASSWORDS, MosquittoBroker
from tests.support.gateway import eventually
from tests.support.hub import BrokerGateway, HubWorker, hub_settings

pytestmark = [pytest.mark.integration, pytest.mark.cloud]


def test_the_access_list_of_the_example_is_enough(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    one = gateway(folder, 1)
    with MosquittoBroker(tmp_path / "broker", one.store.hex(), one.peer.hex()) as broker:
        (tmp_path / "hub.toml").write_text(hub_settings(broker))
        arguments = ("--config", str(tmp_path / "hub.toml"))
        there = BrokerGateway(broker, one, user=broker.store, password=PASSWORDS["gateway"])
        with HubWorker(folder, None, *arguments) as hub, there:
            there.say(Ping(1), Wants(("orders",)), one.put("orders/1", n=1))
            eventually(lambda: there.ponged(1))
            # Another worker comes, and the gateway hears of it.
            with HubWorker(folder, None, *arguments):
                eventually(lambda: there.called)
            assert hub.status()["broker"]["state"] == "cloud-ok"
        assert hub.log() == ""
