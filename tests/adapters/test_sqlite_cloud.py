"""A hub's database in a file: the contract, and what is of files."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.adapters.sqlite_cloud_file import FILE_NAME
from gateway.core.cloud_records import Greeting
from gateway.core.errors import GatewayError
from tests.contracts.cloud_store import SHOP, CloudStoreContract, Open, at_once, change


class TestSqliteCloud(CloudStoreContract):
    @pytest.fixture
    def open_it(self, tmp_path: Path) -> Open:
        self.folder = tmp_path
        self.number = 0
        return lambda: SqliteCloud.open(self.folder / str(self.number))

    def empty(self) -> None:
        self.number += 1


def code_of(folder: Path) -> str:
    with pytest.raises(GatewayError) as caught, closing(SqliteCloud.open(folder)) as store:
        store.append([change("a/1", b"x")])
    return caught.value.code


def test_it_is_of_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    with closing(SqliteCloud.open(folder)) as store:
        store.append([change("a/1", b"x")])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_it_writes_as_durably_as_it_says(tmp_path: Path) -> None:
    with closing(SqliteCloud.open(tmp_path)) as store:
        assert store._rows("PRAGMA journal_mode") == [("wal",)]
        assert store._rows("PRAGMA synchronous") == [(2,)]


def test_only_a_fingerprint_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    with closing(SqliteCloud.open(tmp_path)) as store:
        store.append([change("a/1", b"x")])
        said: list[str] = []
        store._database.set_trace_callback(said.append)
        store.settle(SHOP, "a/1", 1, b"f")
        store.append([change("a/1", b"y")])
        store._database.set_trace_callback(None)
        assert said[:2] == ["PRAGMA synchronous = NORMAL", "BEGIN IMMEDIATE"]
        end = said.index("COMMIT")
        assert said[end + 1 : end + 3] == ["PRAGMA synchronous = FULL", "BEGIN IMMEDIATE"]
        assert store._rows("PRAGMA synchronous") == [(2,)]


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    SqliteCloud.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        database.execute("PRAGMA user_version = 99")
    before = (tmp_path / FILE_NAME).read_bytes()
    assert code_of(tmp_path) == "hub-database-newer"
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        database.execute("CREATE TABLE theirs (x)")
    assert code_of(tmp_path) == "hub-database-foreign"


def test_damage_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)
    assert code_of(tmp_path) == "hub-database-damaged"


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert code_of(tmp_path / "file") == "hub-database-folder"


def test_a_full_database_passes(tmp_path: Path) -> None:
    with closing(SqliteCloud.open(tmp_path)) as store:
        store.append([change("a/1", b"x")])
        store._rows("PRAGMA max_page_count = 50")
        with pytest.raises(GatewayError) as caught:
            store.append([change("a/2", bytes(1_000_000))])
        assert caught.value.code == "hub-database-full"
        store._rows("PRAGMA max_page_count = 5000")
        assert store.version(SHOP, "a/2") == 0
        store.append([change("a/2", bytes(1_000_000))])


def test_after_a_failure_nothing_is_believed(tmp_path: Path) -> None:
    with closing(SqliteCloud.open(tmp_path)) as store:
        store._rows("DROP TABLE change")
        for _ in range(2):
            with pytest.raises(GatewayError) as caught:
                store.append([change("a/1", b"x")])
            assert caught.value.code == "hub-database-failed"
        with pytest.raises(GatewayError):
            store.totals()


def test_who_is_kept_waiting_for_too_long_may_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.sqlite_cloud_file.BUSY_SECONDS", 0.01)
    with closing(SqliteCloud.open(tmp_path)) as one, closing(SqliteCloud.open(tmp_path)) as two:
        two._rows("BEGIN IMMEDIATE")
        with pytest.raises(GatewayError) as caught:
            one.append([change("a/1", b"x")])
        assert caught.value.code == "hub-database-unreachable"
        two._rows("ROLLBACK")
        one.append([change("a/1", b"x")])


def test_several_make_it_at_the_same_time(tmp_path: Path) -> None:
    def work() -> None:
        with closing(SqliteCloud.open(tmp_path / "hub")) as store:
            store.append([change("a/1", b"x")])

    at_once(*[work] * 6)
    with closing(SqliteCloud.open(tmp_path / "hub")) as store:
        assert store.version(SHOP, "a/1") == 6


WRITER = """
import sys
from pathlib import Path
from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.core.cloud_records import CloudChange
store = SqliteCloud.open(Path(sys.argv[1]))
for number in range(1_000_000):
    store.append([CloudChange("a1" * 16, "a/1", b"%d" % number, "peer")])
    print(number, flush=True)
"""


def test_what_returned_survives_kill(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path / "hub"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as writer:  # fmt: skip
        for _ in range(20):
            last = int(writer.stdout.readline())
        writer.kill()
        last = max([last, *map(int, writer.stdout.read().split())])
    with closing(SqliteCloud.open(tmp_path / "hub")) as store:
        changes = store.load(SHOP, "a/1").changes
        assert list(changes[: last + 1]) == [b"%d" % number for number in range(last + 1)]
        assert len(changes) <= last + 2


def test_a_damaged_row_of_a_gateway_stops_nobody(tmp_path: Path) -> None:
    with closing(SqliteCloud.open(tmp_path)) as store:
        store.greet([Greeting(SHOP, peer, ["menu"]) for peer in ("one", "two", "three")])
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
            other.execute("UPDATE gateway SET wants = '[\"menu' WHERE peer = 'one'")
            other.execute("UPDATE gateway SET wants = '7' WHERE peer = 'three'")
            other.commit()
        assert [one.peer for one in store.wanting([SHOP], "menu")] == ["two"]
        assert [one.wants for one in store.gateways([SHOP])] == [(), (), ["menu"]]
        store.greet([Greeting(SHOP, "one", ["menu"])])
        assert [one.peer for one in store.wanting(None, "menu")] == ["one", "two"]
