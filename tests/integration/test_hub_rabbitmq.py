"""A worker of a hub that takes the messages of gateways from RabbitMQ's queue."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway.core.bridge_items import Ping, Wants
from tests.integration.test_hub_workers import gateway
from tests.support.gateway import GatewayProcess, eventually
from tests.support.hub import BrokerGateway, HubWorker
from tests.support.rabbitmq import PASSWORDS, RabbitCluster
from tests.support.store import ask, command

# A pause of a gateway after some tries.
LONG_SECONDS = 3.0

pytestmark = [pytest.mark.integration, pytest.mark.cloud]


def settings(cluster: RabbitCluster) -> str:
    secret = json.dumps(str(cluster.password_file("hub")))
    return (
        f"[broker]\nhost = '127.0.0.1'\nport = {cluster.mqtt_ports[0]}\nuser = 'hub'\n"
        f"password_file = {secret}\n[intake.amqp]\nhosts = ['127.0.0.1:{cluster.amqp_ports[0]}']\n"
        f"tls = false\nuser = 'hub'\npassword_file = {secret}\n"
    )


def test_what_no_worker_took_waits_in_the_queue(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    one = gateway(folder, 1)
    store, peer = one.store.hex(), one.peer.hex()
    with RabbitCluster(tmp_path / "rabbit", 1, store=store, gateway=peer) as cluster:
        (tmp_path / "hub.toml").write_text(settings(cluster))
        worker = HubWorker(folder, None, "--config", str(tmp_path / "hub.toml"))
        there = BrokerGateway(
            cluster.mqtt_ports[0], one,
            client_id=f"store-gateway-{peer}", user="gateway", password=PASSWORDS["gateway"],
        )  # fmt: skip
        with there:
            with worker as hub:
                there.say(Ping(1), Wants(("orders",)), one.put("orders/1", n=1))
                eventually(lambda: there.ponged(1))
                assert hub.status()["broker"]["counters"]["changes"] == 1
                hub.end(signal.SIGKILL)
            # Nobody is there; the queue is.
            there.say(Ping(2), one.put("orders/2", n=2))
            there.wait_until_sent()
            with HubWorker(folder, None, "--config", str(tmp_path / "hub.toml")) as hub:
                eventually(lambda: there.ponged(2))
                assert hub.status()["broker"]["counters"]["changes"] == 1
                assert hub.end(signal.SIGTERM) == 0
    assert hub.log() == ""


def test_a_gateway_that_may_not_says_so_between_its_tries(tmp_path: Path) -> None:
    """The access list knows another store: RabbitMQ refuses and hangs up, again and again."""
    with RabbitCluster(tmp_path / "rabbit", 1) as cluster:
        secret = json.dumps(str(cluster.password_file("gateway")))
        config = tmp_path / "gateway.toml"
        config.write_text(
            f"[mqtt]\nenabled = true\ntls = false\nhost = ['127.0.0.1:{cluster.mqtt_ports[0]}']\n"
            f"user = 'gateway'\npassword_file = {secret}\nhub = '{'0' * 64}'\n"
            "commands = ['orders']\n"
        )
        with GatewayProcess(tmp_path / "gateway", "--config", str(config)) as shop:
            command(shop.folder, "claim")

            def pausing() -> Any:
                cloud = ask(shop.folder, "status")["cloud"]
                # Its pauses become longer.
                return cloud if (cloud["retry_s"] or 0.0) > LONG_SECONDS else None

            cloud = eventually(pausing, 60.0)
            assert cloud["state"] in ("broker-topic-denied", "broker-lost")
            assert cloud["broken"] or "without an answer to store-gateway/" in cloud["sentence"]
