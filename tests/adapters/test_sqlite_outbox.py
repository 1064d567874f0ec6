"""The log as an outbox: the contract, what is on the disk, what a long outage costs."""

import shutil
import sqlite3
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters import sqlite_outbox, sqlite_store
from gateway.adapters.sqlite_file import FILE_NAME
from gateway.adapters.sqlite_log import ROW_BYTES
from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.errors import GatewayError
from gateway.core.records import CLOUD, OutboxStatus, StoredDocument
from tests.contracts.outbox import Both, OutboxContract, change

DATABASES = Path(__file__).parents[1] / "databases"

# An outage: so many changes in so many documents, and what a verb may take then, in seconds.
CHANGES, DOCUMENTS = 100_000, 10_000
RELAY_SECONDS, VERB_SECONDS = 1.0, 0.002
RELAY_BYTES = 8_000_000


class TestContract(OutboxContract):
    @pytest.fixture(params=[0, sqlite_store.SWEEP_BYTES], autouse=True)
    def _sweep_bytes(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a snapshot replaced is removed at once, or later."""
        monkeypatch.setattr(sqlite_store, "SWEEP_BYTES", request.param)

    @pytest.fixture(params=[1, sqlite_outbox.MARK_ROWS], autouse=True)
    def _mark_rows(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """The mark goes along with each transaction, or now and then."""
        monkeypatch.setattr(sqlite_outbox, "MARK_ROWS", request.param)

    @staticmethod
    def open_store(folder: Path) -> Both:
        return SqliteStore.open(folder)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "store")
    store.relay(None)
    yield store
    store.close()


def rows(folder: Path) -> int:
    """How many changes are on the disk."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        (count,) = database.execute("SELECT count(*) FROM change").fetchone()
    return int(count)


def mark(folder: Path) -> int:
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        (number,) = database.execute("SELECT mark FROM outbox").fetchone()
    return int(number)


def again(store: SqliteStore, folder: Path) -> SqliteStore:
    """The same store after a start."""
    store.close()
    store = SqliteStore.open(folder)
    store.relay(None)
    return store


def send_all(store: SqliteStore) -> None:
    for name in store.waiting(1 << 30):
        store.sent(name, store.read(name).last)


def test_for_how_long_the_oldest_waits_is_written_once_an_hour(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.append([change("a/1", b"one")])
    for noted, known in ((3_599, 0), (3_600, 3_600), (7_199, 3_600), (7_200, 7_200)):
        store.note_waited(noted)
        store.append([change("a/1", b"more")])
        folder = shutil.copytree(tmp_path / "store", tmp_path / f"killed at {noted}")
        with closing(SqliteStore.open(folder)) as killed:
            killed.relay(None)
            assert killed.outbox_status().waited == known


@pytest.mark.parametrize("reopened", [False, True])
def test_what_waits_is_not_swept_until_it_was_sent(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reopened: bool
) -> None:
    monkeypatch.setattr(sqlite_store, "SWEEP_BYTES", 2 * (ROW_BYTES + 3))
    folder = tmp_path / "store"
    store.append([change("a/1", b"one"), change("a/2", b"two"), change("a/1", b"too")])
    store.compact("a/1", b"onetoo", [])
    if reopened:
        store = again(store, folder)
    store.compact("a/2", b"two", [])
    assert rows(folder) == 3
    store.sent("a/1", store.read("a/1").last)
    store.append([change("a/2", b"new")])
    assert rows(folder) == 4, "nothing is removed but at a compaction"
    store.compact("a/1", b"onetoo", [])
    assert rows(folder) == 2
    assert store.read("a/2").updates == (b"two", b"new")
    assert store.load("a/2") == StoredDocument(b"two", (b"new",))
    store.close()


def test_what_waits_does_not_make_a_sweep_due(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "SWEEP_BYTES", 3 * (ROW_BYTES + 3))
    theirs = [change(name, b"one", CLOUD) for name in ("b/1", "b/2")]
    store.append([change("a/1", bytes(1_000)), *theirs])
    store.compact("b/1", b"one", [])
    store.compact("a/1", b"whole", [])
    assert rows(tmp_path / "store") == 3
    store = again(store, tmp_path / "store")
    store.compact("b/2", b"one", [])
    assert rows(tmp_path / "store") == 3
    store.close()


def test_after_leaving_what_was_kept_for_sending_is_swept(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "SWEEP_BYTES", 2 * (ROW_BYTES + 3))
    store.append([change("a/1", b"one"), change("a/2", b"two"), change("a/1", b"too")])
    store.compact("a/1", b"onetoo", [])
    store.leave()
    store.compact("a/2", b"two", [])
    assert rows(tmp_path / "store") == 0


def test_merging_makes_room(store: SqliteStore, tmp_path: Path) -> None:
    store.append([change("a/1", b"%04d" % number) for number in range(10)])
    store.merge("a/1", store.read("a/1").last, b"all")
    assert rows(tmp_path / "store") == 1


def test_the_mark_goes_along_and_costs_no_commit_of_its_own(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_outbox, "MARK_ROWS", 3)
    folder = tmp_path / "store"
    for number in range(1, 4):
        store.append([change("a/1", b"one")])
        send_all(store)
        assert mark(folder) == 0, number
    store.append([change("a/1", b"two")])
    assert mark(folder) == 3
    send_all(store)
    store.close()
    assert mark(folder) == 4


def test_when_much_was_sent_and_nothing_is_written_the_mark_goes_alone(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_outbox, "MARK_ALONE_ROWS", 4)
    store.append([change(f"a/{number}", b"one") for number in range(1, 7)])
    for number in range(1, 7):
        store.sent(f"a/{number}", store.read(f"a/{number}").last)
        assert mark(tmp_path / "store") == 4 * (number // 4)


def test_a_full_disk_does_not_keep_from_sending(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_outbox, "MARK_ALONE_ROWS", 1)
    store.append([change("a/1", b"one")])

    def full(mark: int, *, left: bool, waited: int) -> None:
        error = sqlite3.OperationalError("full")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(store, "_write", full)
        send_all(store)
        assert list(store.waiting(10)) == [] and mark(tmp_path / "store") == 0
        with pytest.raises(GatewayError) as error:
            store.leave()
        assert error.value.code == "store-full"
    assert not store.outbox_status().left
    store.close()
    assert mark(tmp_path / "store") == 1


def test_a_row_that_rots_while_it_waits_is_not_sent(store: SqliteStore) -> None:
    store.append([change("a/1", b"one"), change("a/2", b"two")])
    store._database.connection.execute("UPDATE change SET bytes = x'00' WHERE sequence = 1")
    with pytest.raises(GatewayError) as error:
        store.read("a/1")
    assert error.value.code == "store-damaged"
    with pytest.raises(GatewayError):
        store.read("a/2")
    store.sent("a/2", 2)


def test_a_database_that_is_rebuilt_has_to_be_compared(store: SqliteStore, tmp_path: Path) -> None:
    store.append([change("a/1", b"one")])
    store.leave()
    store.close()
    with (tmp_path / "store" / FILE_NAME).open("r+b") as file:
        file.write(bytes(100))
    with closing(SqliteStore.open(tmp_path / "store")) as rebuilt:
        rebuilt.relay(None)
        assert rebuilt.status().recovered and rebuilt.load("a/1").changes == (b"one",)
        assert rebuilt.outbox_status() == OutboxStatus(0, 0, left=False)
        rebuilt.append([change("a/1", b"two")])
        assert rebuilt.read("a/1").updates == (b"two",)


def test_a_backup_knows_what_waits(store: SqliteStore, tmp_path: Path) -> None:
    store.append([change("a/1", b"one")])
    store.backup(tmp_path / "copy" / FILE_NAME)
    with closing(SqliteStore.open(tmp_path / "copy")) as copy:
        copy.relay(None)
        assert copy.read("a/1").updates == (b"one",)


@pytest.mark.parametrize(
    ("version", "waits"), [("v1", ()), ("v2", (b"later",)), ("v3", (b"later",))]
)
def test_what_waits_in_a_database_of_each_version(
    tmp_path: Path, version: str, waits: tuple[bytes, ...]
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copyfile(DATABASES / f"{version}.db", folder / FILE_NAME)
    for number in (0, 1):
        with closing(SqliteStore.open(folder)) as store:
            store.relay(["orders"])
            assert store.read("orders/1").updates == (*waits, *[b"new"] * number)
            assert list(store.waiting(10)) == ["orders/1"] * bool(waits or number)
            store.append([change("orders/1", b"new"), change("menu/summer", b"not relayed")])


def outage(folder: Path, *, relaying: bool) -> int:
    """A store while there is no cloud; bytes of its files, its log not folded back."""
    with closing(SqliteStore.open(folder)) as store:
        store._database.connection.execute("PRAGMA wal_autocheckpoint = 0")
        if relaying:
            store.relay(None)
        for first in range(0, 20_000, 100):
            store.append([change(f"a/{i % 500}", b"%060d" % i) for i in range(first, first + 100)])
        return store.status().file_bytes


def test_while_there_is_no_cloud_nothing_more_is_written(tmp_path: Path) -> None:
    without = outage(tmp_path / "without", relaying=False)
    assert outage(tmp_path / "with", relaying=True) / without < 1.001


@pytest.mark.timing
def test_a_long_outage_costs_little(tmp_path: Path) -> None:
    with closing(SqliteStore.open(tmp_path / "store")) as store:
        store.relay(None)
        for first in range(0, CHANGES, 5_000):
            store.append(
                [change(f"a/{i % DOCUMENTS}", b"%060d" % i) for i in range(first, first + 5_000)]
            )
    store = SqliteStore.open(tmp_path / "store")
    tracemalloc.start()
    begun = time.process_time()
    store.relay(None)
    spent = time.process_time() - begun
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert store.outbox_status() == OutboxStatus(DOCUMENTS, 60 * CHANGES, left=False)
    assert taken < RELAY_BYTES
    begun = time.process_time()
    for _ in range(1_000):
        (name,) = store.waiting(1)
        store.sent(name, store.read(name).last)
    each = (time.process_time() - begun) / 1_000
    assert spent < RELAY_SECONDS and each < VERB_SECONDS
    store.close()
