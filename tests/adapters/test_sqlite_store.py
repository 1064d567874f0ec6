"""The SQLite store: the contract, what is its own, and its sentences."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters import sqlite_log, sqlite_store
from gateway.adapters.sqlite_file import FILE_NAME
from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.errors import GatewayError
from gateway.core.records import Change, Refusal, StoredDocument
from gateway.ports import Store
from tests.contracts.store import StoreContract, change, refusal

CANARY = b"canary-7d1f"
NOBODY = 65_534  # the user that owns nothing
OPEN_SECONDS = 1.5


class TestContract(StoreContract):
    @pytest.fixture(params=[0, sqlite_store.SWEEP_BYTES], autouse=True)
    def _sweep_bytes(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a snapshot replaced is removed at once, or later."""
        monkeypatch.setattr(sqlite_store, "SWEEP_BYTES", request.param)

    @staticmethod
    def open_store(folder: Path) -> Store:
        return SqliteStore.open(folder)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "store")
    yield store
    store.close()


def code(error: pytest.ExceptionInfo[GatewayError]) -> str:
    sentence = error.value.sentence
    assert sentence.isprintable() and len(sentence) > 20
    assert CANARY.decode() not in sentence
    return error.value.code


def database(store: SqliteStore) -> sqlite3.Connection:
    """The store's own connection, to look at it or to harm it."""
    return store._database.connection


def test_every_commit_is_synced(store: SqliteStore) -> None:
    pragmas = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "page_size": 1024}
    for name, value in pragmas.items():
        assert database(store).execute(f"PRAGMA {name}").fetchone()[0] == value


def test_only_the_owner_may_read(store: SqliteStore, tmp_path: Path) -> None:
    store.append([change("orders/1", b"one")])
    store.backup(tmp_path / "store" / "backups" / "last-good.db")
    store.backup(tmp_path / "backup.db")
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {FILE_NAME, f"{FILE_NAME}-wal", "last-good.db"}
    for path in [*files, tmp_path / "backup.db"]:
        assert path.stat().st_mode & 0o777 == 0o600, path
    for path in (tmp_path / "store", tmp_path / "store" / "backups"):
        assert path.stat().st_mode & 0o777 == 0o700, path


def test_one_process_has_the_folder(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(GatewayError) as error:
        SqliteStore.open(tmp_path / "store")
    assert code(error) == "store-locked"
    script = (
        "from pathlib import Path; from gateway.adapters.sqlite_store import SqliteStore;"
        "from gateway.core.errors import GatewayError\n"
        f"try: SqliteStore.open(Path({str(tmp_path / 'store')!r}))\n"
        "except GatewayError as error: print(error.code)"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, text=True).strip() == "store-locked"
    store.close()
    assert subprocess.check_output(command, text=True).strip() == ""


def test_a_closed_store_says_so(store: SqliteStore, tmp_path: Path) -> None:
    store.close()
    for verb in (store.status, lambda: store.append([]), lambda: store.backup(tmp_path / "b.db")):
        with pytest.raises(GatewayError) as error:
            verb()
        assert code(error) == "store-closed"


def test_a_failed_group_leaves_nothing(store: SqliteStore, tmp_path: Path) -> None:
    store.append([change("orders/1", b"one")])
    with pytest.raises(GatewayError) as error:
        store.append([change("orders/2", CANARY), Refusal("", CANARY, "", 1, None)])  # type: ignore[arg-type]
    assert code(error) == "store-failed"
    with pytest.raises(GatewayError) as error:
        store.append([change("orders/1", b"two")])
    assert code(error) == "store-failed"
    store.close()
    again = SqliteStore.open(tmp_path / "store")
    assert again.names() == ["orders/1"]
    assert again.status().usage == {"orders": 3}
    again.close()


def test_replaced_changes_are_removed_together(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqlite_store, "SWEEP_BYTES", 4 * (sqlite_log.ROW_BYTES + 3))

    def rows() -> int:
        with closing(sqlite3.connect(tmp_path / "store" / FILE_NAME)) as database:
            (count,) = database.execute("SELECT count(*) FROM change").fetchone()
        return int(count)

    store.append([change(f"orders/{number % 2}", b"one") for number in range(4)])
    store.compact("orders/0", b"all", [])
    assert (rows(), store.status().changes) == (4, 2)
    store.close()
    again = SqliteStore.open(tmp_path / "store")
    assert again.load("orders/0") == StoredDocument(b"all", ())
    assert (again.status().changes, again.status().usage) == (2, {"orders": 9})
    again.append([change("orders/0", b"new")])
    again.compact("orders/1", b"too", [b"kept"])
    assert (rows(), again.status().changes) == (2, 2)
    assert again.load("orders/0") == StoredDocument(b"all", (b"new",))
    assert again.load("orders/1") == StoredDocument(b"too", (b"kept",))
    again.close()


@pytest.mark.parametrize("rows", [3, 1_000])
def test_quarantine_forgets_the_oldest(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(sqlite_store, "MAX_QUARANTINE_ROWS", rows)
    store.append([refusal(b"%d" % i) for i in range(rows)])
    before = store.quarantined()
    store.append([refusal(b"0"), refusal(b"new")])
    assert store.status().quarantined == rows
    # The first was refused again, so the second is the oldest.
    assert len(before - store.quarantined()) == 1
    store.append([refusal(b"2")])
    assert store.status().quarantined == rows


def test_quarantine_is_bounded_in_bytes(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "MAX_QUARANTINE_BYTES", 10)
    store.append([refusal(b"1234"), refusal(b"5678"), refusal(b"90")])
    assert store.status().quarantined == 3
    store.append([refusal(b"x")])
    assert store.status().quarantined == 3
    store.append([refusal(b"y" * 11)])
    assert store.status().quarantined == 0


def test_a_row_that_rots_while_in_use_is_not_loaded(store: SqliteStore) -> None:
    store.append([change("orders/1", b"one")])
    database(store).execute("UPDATE change SET bytes = ?", (CANARY,))
    with pytest.raises(GatewayError) as error:
        store.load("orders/1")
    assert code(error) == "store-damaged"


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("n" * 300)):
        with pytest.raises(GatewayError) as error:
            SqliteStore.open(folder)
        assert code(error) == "store-folder"


def test_a_folder_without_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(GatewayError) as error:
            SqliteStore.open(tmp_path / "store")
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)
    assert code(error) == "store-folder"


def test_another_program_that_holds_the_database(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database(store).execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "store" / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(GatewayError) as error:
        store.append([change("orders/1", b"one")])
    assert code(error) == "store-locked"
    other.close()


def test_a_backup_that_fails_leaves_nothing_and_harms_nothing(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.append([change("orders/1", b"one")])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "taken", tmp_path / "file" / "copy.db"):
        with pytest.raises(GatewayError) as error:
            store.backup(target)
        assert code(error).startswith("store-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "store", "taken"]
    assert store.load("orders/1").changes == (b"one",)


def test_opening_100_000_changes_is_quick(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "store")
    for first in range(0, 100_000, 5_000):
        store.append(
            [change(f"orders/{i % 500}", b"%060d" % i) for i in range(first, first + 5_000)]
        )
    store.close()
    begun = time.process_time()
    SqliteStore.open(tmp_path / "store").close()
    assert time.process_time() - begun < OPEN_SECONDS


@pytest.mark.parametrize("name", ["store.db", "store.db-wal", "control.sock", "lock", "any", "."])
def test_a_backup_is_not_written_over_the_gateways_own_files(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "store"
    with closing(SqliteStore.open(folder)) as store:
        with pytest.raises(GatewayError) as error:
            store.backup(folder / name)
        assert error.value.code == "store-backup-target"
        store.append([Change("orders/1", b"still works", "")])
