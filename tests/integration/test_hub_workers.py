"""Workers of a hub as processes, a real broker, a database in a file; gateways by hand."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.core.bridge_items import Change, Ping, Turn, Wants
from gateway.core.document import Document
from tests.support.broker import MosquittoBroker
from tests.support.cloud import HandGateway
from tests.support.gateway import ROOT, eventually
from tests.support.hub import BrokerGateway, HubWorker, open_to_all
from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.cloud]
STORE, OTHER_STORE = b"r" * 32, b"q" * 32


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoBroker]:
    with open_to_all(MosquittoBroker(tmp_path / "broker")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


def gateway(folder: Path, number: int, store: bytes = STORE) -> HandGateway:
    """A gateway that has the key of the hub in its settings."""
    said = command(folder, "hub-key", "--json")
    return HandGateway(number, store, hub=bytes.fromhex(json.loads(said)["key"]))


def command(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--data", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def is_busy(worker: HubWorker) -> bool:
    return bool(worker.status()["broker"]["counters"]["changes"] > 10)


def has_database(worker: HubWorker, *, answers: bool = True) -> bool:
    return (worker.status()["database"]["state"] == "ok") is answers


def holds(store: SqliteCloud, space: str, count: int) -> bool:
    return len(store.held(space)) == count


def test_first_success(broker: MosquittoBroker, folder: Path) -> None:
    one, two = gateway(folder, 1), gateway(folder, 2)
    key = folder / "hub.key"
    assert key.stat().st_mode & 0o777 == 0o600
    with HubWorker(folder, broker) as hub:
        assert hub.facts["key"] == command(folder, "hub-key").strip()
        with BrokerGateway(broker, one) as first, BrokerGateway(broker, two) as second:
            for there in (first, second):
                there.say(Ping(1), Wants(("orders",)))
                eventually(partial(there.ponged, 1))
            first.say(one.put("orders/1", total=3))
            eventually(lambda: two.content("orders/1") == {"fields": {"total": 3}})
        (worker,) = json.loads(command(folder, "hub-status", "--json"))["workers"]
        assert worker["broker"]["counters"]["changes"] == 1
        assert "1 changes" in command(folder, "hub-status")
        assert hub.end(signal.SIGTERM) == 0
    assert hub.log() == ""
    assert not list(folder.glob("*.sock"))


def test_nothing_is_lost_when_one_of_two_workers_is_killed(
    broker: MosquittoBroker, folder: Path
) -> None:
    gateways = [gateway(folder, 1), gateway(folder, 2, OTHER_STORE)]
    names = [f"orders/{number}" for number in range(400)]
    with (
        HubWorker(folder, broker) as first,
        HubWorker(folder, broker) as second,
        BrokerGateway(broker, gateways[0]) as one,
        BrokerGateway(broker, gateways[1]) as two,
    ):
        assert len(json.loads(command(folder, "hub-status", "--json"))["workers"]) == 2
        for number, name in enumerate(names):
            for there in (one, two):
                there.say(there.gateway.put(name, n=number))
            if number == 200:
                for worker in (first, second):
                    eventually(partial(is_busy, worker))
                first.end(signal.SIGKILL)
        one.wait_until_sent()
        two.wait_until_sent()
        # What the one had not written is missed by the comparison that its will begins.
        assert eventually(lambda: one.called == two.called == 1)
        store = SqliteCloud.open(folder)
        for space in (each.store.hex() for each in gateways):
            eventually(partial(holds, store, space, len(names)))
            for number, name in enumerate(names):
                stored = store.load(space, name)
                held = Document.load(name, stored.snapshot, stored.changes)
                assert held.project() == {"fields": {"n": number}}
        store.close()
    assert first.log() == second.log() == ""


def test_a_database_that_goes_and_comes(broker: MosquittoBroker, folder: Path) -> None:
    one, two = gateway(folder, 1), gateway(folder, 2)
    with PostgresServer(folder.parent / "postgres") as server:
        settings = folder.parent / "hub.toml"
        settings.write_text(f"[database]\nurl = {json.dumps(server.url)}\n")
        with (
            HubWorker(folder, broker, "--config", str(settings)) as first,
            HubWorker(folder, broker, "--config", str(settings)) as second,
            BrokerGateway(broker, one) as sender,
            BrokerGateway(broker, two) as hearer,
        ):
            assert first.facts["kind"] == "postgresql"
            hearer.say(Wants(("orders",)), Ping(1))
            eventually(lambda: hearer.ponged(1))
            for number in range(300):
                sender.say(one.put(f"orders/{number}", n=number))
                if number == 100:
                    server.kill()
            sender.wait_until_sent()
            for worker in (first, second):
                eventually(partial(has_database, worker, answers=False))
            server.start()
            eventually(lambda: len(two.documents) == 300, 60.0)
            for number in range(300):
                assert two.content(f"orders/{number}") == {"fields": {"n": number}}
            for worker in (first, second):
                eventually(partial(has_database, worker))
        assert "messages wait" in first.log() and "there again" in second.log()
        assert "Traceback" not in first.log() + second.log()


def test_the_broker_and_the_hub_come_and_go(broker: MosquittoBroker, folder: Path) -> None:
    one, two = gateway(folder, 1), gateway(folder, 2)
    with BrokerGateway(broker, one) as first, BrokerGateway(broker, two) as second:
        # Nobody hears that, and the comparison when the hub starts finds it.
        first.say(one.put("orders/1", total=3))
        first.wait_until_sent()
        with HubWorker(folder, broker):
            second.say(Wants(("orders",)), Ping(1))
            eventually(lambda: second.ponged(1))
            second.compare()
            eventually(lambda: two.content("orders/1") == {"fields": {"total": 3}})
            broker.stop()
            broker.start()
            first.say(one.put("orders/1", total=4))
            eventually(lambda: two.content("orders/1") == {"fields": {"total": 4}}, 60.0)


def test_hostile_messages_are_refused_each_and_nothing_else(
    broker: MosquittoBroker, folder: Path
) -> None:
    one, two = gateway(folder, 1), gateway(folder, 2)
    stranger = HandGateway(1, OTHER_STORE)
    sound = one.say(one.put("orders/1", total=3))[0].payload
    wrong = [
        b"", b"junk", bytes(200_000), sound[:-1], sound + b"\0", one.sealed(b""),
        one.sealed(b"\xff" * 100), stranger.sealed(b"\x01\x01"), two.sealed(b"\x01\x01"),
        one.say(Turn(b""), Turn(b""))[0].payload,
    ]  # fmt: skip
    with HubWorker(folder, broker) as hub, BrokerGateway(broker, one) as first:
        for payload in wrong:
            first.publish(one.topics.up, payload)
        first.publish(two.topics.up, sound)
        first.publish(one.topics.up.replace("/up/", "/up/../"), sound)
        first.publish(f"store-gateway/x/up/{'y' * 300}", sound)
        first.say(Change("orders/1", b"junk"), Turn(b"junk"))
        first.publish(one.topics.up, sound)
        first.say(Ping(9))
        eventually(lambda: first.ponged(9))
        counts = hub.status()["broker"]["counters"]
        assert (counts["wrong"], counts["refused"], counts["changes"]) == (len(wrong) + 2, 1, 1)
    assert "junk" not in hub.log() and "Traceback" not in hub.log()


def test_wrong_settings(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("[broker]\nhots = 'x'")
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "hub", "--config", str(tmp_path / "hub.toml")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == os.EX_CONFIG and "did you mean host?" in ended.stderr
    wrong = [sys.executable, "-m", "gateway", "hub", "--data", str(tmp_path), "--broker", "b:x"]
    assert subprocess.run(wrong, cwd=ROOT, capture_output=True).returncode == os.EX_USAGE
    wrong[-3:] = [str(tmp_path / "hub.toml")]
    ended = subprocess.run(wrong, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == os.EX_CANTCREAT and "hub.toml: File exists" in ended.stderr


@pytest.mark.parametrize(
    ("settings", "library", "said"),
    [
        ("[database]\nurl = 'postgresql://x'", "psycopg", "PostgreSQL needs packages"),
        ("[intake.amqp]\nhosts = ['x']", "pika", "RabbitMQ needs packages"),
    ],
)
def test_without_the_packages_of_a_hub(
    tmp_path: Path, settings: str, library: str, said: str
) -> None:
    (tmp_path / "hub.toml").write_text(settings)
    words = ["hub", "--config", str(tmp_path / "hub.toml"), "--data", str(tmp_path / "hub")]
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from gateway.__main__ import main; sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == os.EX_UNAVAILABLE and said in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr


def test_where_no_hub_runs(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "hub-status", "--data", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == os.EX_UNAVAILABLE and "no worker of a hub" in ended.stderr
