"""A cluster of RabbitMQ, PostgreSQL and two workers of a hub, one of each killed under load."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gateway.adapters.amqp import QUEUE
from gateway.adapters.postgres_cloud import PostgresCloud
from gateway.adapters.postgres_link import SCHEMA
from gateway.control.messages import ControlError
from gateway.core.document import Document
from gateway.runtime.cloud_shift import MAX_BATCH
from tests.integration.test_hub_workers import command as hub_command
from tests.support.fleet import DOCUMENT, NUMBERS, Fleet, SimulatedStore
from tests.support.gateway import GatewayProcess, eventually
from tests.support.hub import HubWorker
from tests.support.peer import PeerProcess
from tests.support.postgres import PostgresServer
from tests.support.rabbitmq import RabbitCluster
from tests.support.store import Pairing, ask, command

pytestmark = [pytest.mark.integration, pytest.mark.cloud]

NODES = 3
STORES = 200
# As the access list has them: any store and gateway.
ANY = "[0-9a-f]{32}"
# Between two losses, so that each is met by what works.
MESSAGES_BETWEEN = 2_500
MESSAGES_LATE = 10
LONGEST_SECONDS = 90.0
# The device of the shop: so often, and so many documents.
PACE_SECONDS = 0.05
BILLS = 40
# Changes can be read meanwhile, and none written.
HOLD_UP = f"BEGIN; LOCK TABLE {SCHEMA}.change IN EXCLUSIVE MODE"


class Writer(threading.Thread):
    """What a device of the shop writes, without end: ``last`` by document."""

    def __init__(self, device: PeerProcess) -> None:
        super().__init__(name="device")
        self._device = device
        self._is_over = threading.Event()
        self.last: dict[str, int] = {}

    def run(self) -> None:
        number = 0
        while not self._is_over.wait(PACE_SECONDS):
            number += 1
            name = f"bills/{number % BILLS}"
            self._device.ask("put", name, {"n": number})
            self.last[name] = number

    def stop(self) -> None:
        self._is_over.set()
        if self.is_alive():
            self.join()


class World:
    """All of it; a shop with a device writes ``bills``, the simulated stores write beside it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.stack = stack
        self.database = stack.enter_context(PostgresServer(folder / "postgres"))
        self.cluster = stack.enter_context(
            RabbitCluster(folder / "rabbit", NODES, store=ANY, gateway=ANY)
        )
        self._hub = folder / "hub"
        self._hub.mkdir()
        key = hub_command(self._hub, "hub-key").strip()
        made = json.loads(hub_command(self._hub, "hub-token", "--write", "--json"))
        self._token = made["token"]
        (folder / "tokens.toml").write_text(made["lines"])
        self.workers = [self._worker(folder, number) for number in range(2)]
        hosts = [f"127.0.0.1:{port}" for port in self.cluster.mqtt_ports]
        secret = str(self.cluster.password_file("gateway"))
        config = folder / "gateway.toml"
        config.write_text(
            f"[mqtt]\nenabled = true\ntls = false\nhost = {json.dumps(hosts)}\nuser = 'gateway'\n"
            f"password_file = {json.dumps(secret)}\nhub = '{key}'\ndown = ['bills']\n"
        )
        self.gateway = stack.enter_context(
            GatewayProcess(folder / "gateway", "--config", str(config))
        )
        assert command(self.gateway.folder, "claim")["recovery_code"]
        address = f"127.0.0.1:{self.gateway.port}"
        with Pairing(self.gateway.folder) as pairing:
            self.device = stack.enter_context(
                PeerProcess(folder / "device", "--connect", address, "--pair", pairing.code)
            )
        self.space = ask(self.gateway.folder, "status")["store_id"]
        eventually(lambda: self.cloud["hub"]["heard"], 60.0)
        brokers = [("127.0.0.1", port) for port in self.cluster.mqtt_ports]
        self.login = "gateway", secret
        self.fleet = Fleet(STORES, brokers, self.login)
        self.writer = Writer(self.device)
        stack.callback(self.writer.stop)

    @property
    def cloud(self) -> Any:
        """What the gateway says of its cloud."""
        return ask(self.gateway.folder, "status")["cloud"]

    def tell(self, document: str, **content: object) -> None:
        """Somebody in the cloud writes, at the first worker."""
        address = f"{self.workers[0].facts['api']}api/v1/stores/{self.space}/documents/{document}"
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        body = json.dumps(content).encode()
        request = Request(address, body, headers, method="PUT")

        def is_written() -> bool:
            try:
                urlopen(request, timeout=30).close()
            except HTTPError as error:
                if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
                    # Said once of a connection to a database that was away.
                    return False
                raise
            return True

        eventually(is_written)

    def fields(self, document: str) -> Any:
        """What the gateway has of a document; None: nothing."""
        try:
            return ask(self.gateway.folder, "get", document=document)["fields"]
        except ControlError:
            return None

    def counted(self, worker: int) -> int:
        """Changes that a worker wrote."""
        return int(self.workers[worker].status()["broker"]["counters"]["changes"])

    def is_beyond(self, worker: int, written: list[int]) -> bool:
        """Whether a worker wrote something since."""
        return self.counted(worker) > written[worker]

    def has_full_hands(self, worker: int) -> bool:
        """Whether a worker has a whole batch that is not written, and the next. Without a
        connection to the queue it has nothing."""
        return bool(self.workers[worker].status()["broker"]["waiting"] >= 2 * MAX_BATCH)

    def hold_up(self) -> None:
        """Nothing is written from now on, and the hands of the second worker are full.

        A server that is just killed may have committed what it did not answer: most of that time
        is ``fsync``, and the system keeps what a killed process wrote. So nobody comes to that.
        """
        connection = self.stack.enter_context(closing(self.database.connect()))
        connection.execute(HOLD_UP)
        self.go_on()
        # What they wait with may be one message. It is written, by the order in which locks are
        # given; a whole batch has gathered behind it, and waits for this lock.
        connection.execute("COMMIT")
        connection.execute(HOLD_UP)
        eventually(partial(self.has_full_hands, 1))

    def go_on(self) -> None:
        """A part of the load."""
        wanted = self.fleet.acknowledged + MESSAGES_BETWEEN
        eventually(lambda: self.fleet.acknowledged >= wanted, LONGEST_SECONDS)

    def _worker(self, folder: Path, number: int) -> HubWorker:
        """It begins with another node than the other worker."""
        secret = json.dumps(str(self.cluster.password_file("hub")))
        turn = [(number + step) % NODES for step in range(NODES)]
        mqtt = [f"127.0.0.1:{self.cluster.mqtt_ports[node]}" for node in turn]
        amqp = [f"127.0.0.1:{self.cluster.amqp_ports[node]}" for node in turn]
        settings = folder / f"hub{number}.toml"
        settings.write_text(
            f"[broker]\nhost = {json.dumps(mqtt)}\nuser = 'hub'\npassword_file = {secret}\n"
            f"[intake.amqp]\nhosts = {json.dumps(amqp)}\ntls = false\nuser = 'hub'\n"
            f"password_file = {secret}\n[database]\nurl = {json.dumps(self.database.url)}\n"
            "[api]\nenabled = true\nport = 0\n"
            f"tokens_file = {json.dumps(str(folder / 'tokens.toml'))}\n"
        )
        return self.stack.enter_context(HubWorker(self._hub, None, "--config", str(settings)))


def took(what: str, reached: Callable[[], Any]) -> None:
    """Wait for it and print how long that took."""
    began = time.monotonic()
    eventually(reached, LONGEST_SECONDS)
    print(f"{what}: {time.monotonic() - began:.1f} s")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def test_nothing_is_lost_when_one_of_each_is_killed_under_load(world: World) -> None:
    cluster, fleet, survivor = world.cluster, world.fleet, world.workers[0]
    began = time.monotonic()
    world.stack.enter_context(fleet)
    world.writer.start()
    world.go_on()
    print(f"before: {fleet.acknowledged / (time.monotonic() - began):.0f} messages a second")
    assert len(fleet.nodes) == NODES

    killed = cluster.leads(QUEUE)
    cluster.kill(killed)
    world.tell("bills/cloud", n=1)
    written = [world.counted(0), world.counted(1)]
    took("a node is killed, all stores publish", partial(fleet.is_served_since, time.monotonic()))
    dead = f"127.0.0.1:{cluster.mqtt_ports[killed]}"
    assert dead not in fleet.nodes and len(fleet.nodes) == NODES - 1
    took("the gateway is heard", lambda: is_heard_elsewhere(world.cloud, dead))
    took("both workers write", lambda: world.is_beyond(0, written) and world.is_beyond(1, written))
    for worker in world.workers:
        assert worker.status()["broker"]["broker"] != dead
    world.go_on()

    world.hold_up()
    world.database.kill()
    for worker in world.workers:
        eventually(partial(misses_database, worker))
    # Nothing of that is written. The stores neither compare nor repeat what was acknowledged: had
    # the worker acknowledged it, nobody would have it.
    assert world.has_full_hands(1)
    world.workers[1].end(signal.SIGKILL)
    # Nobody in the stores notices.
    world.go_on()
    world.database.start()
    written = [world.counted(0)]
    took("the database is back, one worker writes", lambda: world.is_beyond(0, written))
    world.go_on()

    back = time.monotonic()
    cluster.start(killed)
    print(f"the node is back: {time.monotonic() - back:.1f} s")
    world.tell("bills/cloud", n=2)
    world.go_on()
    fleet.stop()
    world.writer.stop()
    print(f"{fleet.acknowledged} messages in {time.monotonic() - began:.0f} s")
    # At the node that was killed, to the worker that is elsewhere.
    with Fleet(1, [("127.0.0.1", cluster.mqtt_ports[killed])], world.login, first=STORES) as there:
        eventually(lambda: there.acknowledged > MESSAGES_LATE)
        there.stop()
    with closing(PostgresCloud.open(world.database.url)) as store:
        took("all is in the database", lambda: holds_all(store, [*fleet.stores, *there.stores]))
        with suppress(AssertionError):
            eventually(lambda: not differences(world, store), LONGEST_SECONDS)
        assert not differences(world, store)
    assert world.cloud["counters"]["refused"] == 0
    assert survivor.status()["broker"]["counters"]["wrong"] == 0
    said = survivor.log() + world.workers[1].log() + world.gateway.log()
    assert "Traceback" not in said, said


def misses_database(worker: HubWorker) -> bool:
    """Whether a worker cannot write."""
    return bool(worker.status()["database"]["state"] != "ok")


def is_heard_elsewhere(cloud: Any, node: str) -> bool:
    """Whether a gateway speaks with the hub, and not by this node."""
    is_there = cloud["state"] == "cloud-ok" and cloud["hub"]["heard"]
    return bool(is_there and cloud["broker"] != node)


def holds_all(store: PostgresCloud, stores: list[SimulatedStore]) -> bool:
    """Whether each store's numbers are there, each once and in their order."""
    for one in stores:
        assert one.acknowledged == one.made
        if content(store, one.space, DOCUMENT) != {NUMBERS: list(range(one.made))}:
            return False
    return True


def differences(world: World, store: PostgresCloud) -> list[str]:
    """What device, gateway or hub has otherwise than it was written last."""
    found = []
    for name, number in [*world.writer.last.items(), ("bills/cloud", 2)]:
        said = (
            content(store, world.space, name).get("fields"),
            world.fields(name),
            world.device.ask("get", name)["fields"],
        )
        if said != ({"n": number},) * 3:
            found.append(f"{name}: {number} is {said}")
    return found


def content(store: PostgresCloud, space: str, name: str) -> Any:
    """A document as JSON."""
    stored = store.load(space, name)
    return Document.load(name, stored.snapshot, stored.changes).project()
