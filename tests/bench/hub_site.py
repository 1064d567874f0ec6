"""A hub with its broker and its database on this machine, whose processor time is told apart."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.hub_database import opened
from tests.bench.mqtt_load import Login
from tests.bench.processes import cpu_seconds, memory_bytes, tree
from tests.support.broker import OPEN, MosquittoBroker
from tests.support.gateway import eventually
from tests.support.hub import HubWorker, open_to_all
from tests.support.postgres import PostgresServer
from tests.support.rabbitmq import PASSWORDS, RabbitCluster

WORKER, BROKER, DATABASE = "worker", "broker", "database"
PARTS = (WORKER, BROKER, DATABASE)
# A cluster gives its patterns to the access list: each gateway of each store.
ANY = "[0-9a-f]{32}"
POLL_SECONDS = 0.05
# Others may use the machine, too.
DRAIN_SECONDS = 300.0
# Nothing was used for so long: what was asked is answered.
IDLE_SECONDS = 1.0
IDLE_SHARE = 0.03


@dataclass
class Site:
    """``ports``: of MQTT. ``queue``: messages that may wait for one worker that is stopped.

    ``intake`` and ``table`` are where a floor takes messages, and inserts them.
    """

    name: str
    folder: Path
    ports: Sequence[int]
    login: Login
    queue: int
    arguments: Sequence[str]
    broker: MosquittoBroker | None
    broker_pids: Callable[[], list[int]]
    database_pids: Callable[[], list[int]]
    disk_bytes: Callable[[], int]
    intake: Mapping[str, object]
    database: str
    table: str
    running: list[HubWorker] = field(default_factory=list)

    @contextmanager
    def workers(self, count: int) -> Iterator[None]:
        """So many workers, all of which hear."""
        with ExitStack() as stack:
            self.running = [
                stack.enter_context(HubWorker(self.folder / "hub", self.broker, *self.arguments))
                for _ in range(count)
            ]
            try:
                yield
            finally:
                self.running = []

    def pids(self, part: str) -> list[int]:
        """The processes of a part."""
        if part == WORKER:
            return [worker.facts["pid"] for worker in self.running]
        return self.broker_pids() if part == BROKER else self.database_pids()

    def used(self) -> dict[str, float]:
        """Seconds of processor time of each part so far."""
        return {part: sum(map(cpu_seconds, self.pids(part))) for part in PARTS}

    def memory(self) -> dict[str, int]:
        """Bytes of memory of each part."""
        return {part: sum(map(memory_bytes, self.pids(part))) for part in PARTS}

    def count(self, what: str) -> int:
        """A figure of all workers."""
        return sum(worker.status()["broker"]["counters"][what] for worker in self.running)

    def documents(self) -> int:
        """How many documents the database holds."""
        with closing(opened(self.database)) as store:
            return store.totals()["documents"]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No worker does anything meanwhile."""
        for pid in self.pids(WORKER):
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in self.pids(WORKER):
                os.kill(pid, signal.SIGCONT)

    def reached(self, what: str, number: int) -> float:
        """Wait until a figure of the workers is so high; the moment. Raises AssertionError."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while (now := self.count(what)) < number:
            assert time.monotonic() < deadline, f"{what}: {now} of {number}"
            time.sleep(POLL_SECONDS)
        return time.monotonic()

    def until_idle(self) -> None:
        """Wait until the workers have nothing to do."""

        def idle() -> bool:
            before = self.used()[WORKER]
            time.sleep(IDLE_SECONDS)
            return self.used()[WORKER] - before < IDLE_SHARE * IDLE_SECONDS

        eventually(idle, DRAIN_SECONDS, 0.0)


@contextmanager
def mosquitto_and_sqlite(folder: Path) -> Iterator[Site]:
    """One broker that keeps all that comes, and one file."""
    (folder / "hub").mkdir(parents=True)
    broker = open_to_all(MosquittoBroker(folder / "broker"))
    path = broker.folder / "mosquitto.conf"
    path.write_text(path.read_text().replace("max_queued_messages 1000", "max_queued_messages 0"))
    with broker:
        yield Site(
            "mosquitto + SQLite", folder, [broker.ports[OPEN]], Login(),
            # Mosquitto sends all it has at once, of which a worker holds 4,000.
            3_000, (), broker,
            lambda: [broker.pid], list, lambda: _size(folder / "hub"),
            {"port": broker.ports[OPEN]}, str(folder / "hub"), str(folder / "floor.db"),
        )  # fmt: skip


@contextmanager
def rabbitmq_and_postgres(folder: Path) -> Iterator[Site]:
    """Three brokers, each with a copy of the queue, and a server."""
    (folder / "hub").mkdir(parents=True)
    cluster = RabbitCluster(folder / "rabbit", store=ANY, gateway=ANY)
    with cluster, PostgresServer(folder / "postgres") as server:
        (folder / "hub.toml").write_text(_settings(cluster, server.url))
        amqp = {"port": cluster.amqp_ports[0], "password_file": str(cluster.password_file("hub"))}
        yield Site(
            "RabbitMQ + PostgreSQL", folder, cluster.mqtt_ports,
            Login("gateway", PASSWORDS["gateway"]), 6_000,
            ("--config", str(folder / "hub.toml")), None,
            lambda: [pid for node in range(3) for pid in tree(cluster.pid(node))],
            lambda: tree(server.pid), lambda: _tables(server),
            amqp, server.url, server.url,
        )  # fmt: skip


SITES = (mosquitto_and_sqlite, rabbitmq_and_postgres)


def _settings(cluster: RabbitCluster, url: str) -> str:
    secret = json.dumps(str(cluster.password_file("hub")))
    user = f"user = 'hub'\npassword_file = {secret}\n"
    return (
        f"[broker]\nhost = '127.0.0.1'\nport = {cluster.mqtt_ports[1]}\n{user}"
        f"[intake.amqp]\nhosts = ['127.0.0.1:{cluster.amqp_ports[0]}']\ntls = false\n{user}"
        f"[database]\nurl = {json.dumps(url)}\n"
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("hub.db*"))


def _tables(server: PostgresServer) -> int:
    """Bytes of the hub's tables and their indexes."""
    with closing(server.connect()) as connection:
        (row,) = connection.execute(
            "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'store_gateway' AND relkind = 'r'"
        ).fetchall()
    return int(row[0])
