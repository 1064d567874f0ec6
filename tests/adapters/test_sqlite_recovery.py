"""Damaged, newer, foreign and half-replaced databases; backups brought back."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters import sqlite_file, sqlite_recovery
from gateway.adapters.sqlite_file import APPLICATION_ID, FILE_NAME, PAGE_BYTES
from gateway.adapters.sqlite_recovery import restore
from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.errors import GatewayError
from gateway.core.records import StoredDocument
from tests.contracts.store import change, refusal

DATABASES = Path(__file__).parents[1] / "databases"
NAMES = [f"orders/{i}" for i in range(40)]
# Rows of 60 bytes on a page of 1 kB, and a page that is the parent of none of them.
ROWS_OF_A_PAGE = 14
CANARY = "canary-7d1f"

Held = dict[str, StoredDocument]


def update(index: int) -> bytes:
    return CANARY.encode() + b"-%04d-" % index + random.Random(index).randbytes(45)


# What a snapshot replaced may be found again; it is part of the snapshot.
REPLACED = {(NAMES[0], update(first)) for first in range(0, 400, 40)}


def fill(store: SqliteStore) -> None:
    """Rows on many pages, snapshots, large rows, quarantine."""
    for first in range(0, 400, 40):
        store.append([change(name, update(first + i)) for i, name in enumerate(NAMES)])
    store.compact(NAMES[0], b"snapshot " * 40, [b"kept"])
    store.append([change(NAMES[1], b"large " * 2_000), refusal(b"bad"), change("menu/1", b"last")])


def held(folder: Path) -> Held:
    with closing(SqliteStore.open(folder)) as store:
        return {name: store.load(name) for name in store.names()}


def updates(documents: Held) -> set[tuple[str, bytes]]:
    """What is held, snapshot or not."""
    return {
        (name, raw)
        for name, stored in documents.items()
        for raw in (stored.snapshot, *stored.changes)
        if raw
    }


def opened(folder: Path) -> tuple[set[tuple[str, bytes]], str]:
    """What a store holds after it was opened, and what it says about it."""
    with closing(SqliteStore.open(folder)) as store:
        said = store.status().recovered
        found = {name: store.load(name) for name in store.names()}
    assert held(folder) == found
    with closing(SqliteStore.open(folder)) as store:
        assert store.status().recovered == ""
    return updates(found), said


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that was closed, and the same with a log beside it."""
    base = tmp_path_factory.mktemp("made")
    store = SqliteStore.open(base / "open")
    fill(store)
    # What a killed process leaves: a log that was not folded back.
    shutil.copytree(base / "open", base / "log")
    store.close()
    shutil.copytree(base / "open", base / "closed")
    return base


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / "closed", tmp_path / "store")


@pytest.fixture
def with_log(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / "log", tmp_path / "store")


def spoil(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def everything(made: Path, tmp_path: Path) -> set[tuple[str, bytes]]:
    return updates(held(shutil.copytree(made / "closed", tmp_path / "whole")))


def expect_rebuilt(folder: Path, said: str, before: bytes) -> None:
    assert said.startswith("The database was damaged: ") and said.isprintable()
    assert "damaged-1" in said and CANARY not in said
    assert (folder / "damaged-1" / FILE_NAME).read_bytes() == before
    assert (folder / "damaged-1").stat().st_mode & 0o777 == 0o700
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert not (folder / "rebuilding").exists()


@pytest.mark.parametrize(
    "content", [b"", b"not a database " * 500, bytes(8_192), b"SQLite format 3\0" + b"\xff" * 5_000]
)
def test_what_is_no_database_is_set_aside(folder: Path, content: bytes) -> None:
    (folder / FILE_NAME).write_bytes(content)
    found, said = opened(folder)
    assert not found
    expect_rebuilt(folder, said, content)


def test_each_damage_is_kept(folder: Path) -> None:
    for number in (1, 2, 3):
        (folder / FILE_NAME).write_bytes(b"no database %d" % number)
        _, said = opened(folder)
        assert f"damaged-{number}" in said
        kept = folder / f"damaged-{number}" / FILE_NAME
        assert kept.read_bytes() == b"no database %d" % number


def test_a_flipped_byte_in_any_page_costs_at_most_that_page(
    folder: Path, made: Path, tmp_path: Path
) -> None:
    whole = everything(made, tmp_path)
    content = (folder / FILE_NAME).read_bytes()
    found_damaged = 0
    for page in range(len(content) // PAGE_BYTES):
        for at in (0, 3, 120, 700, 1_023):
            place = page * PAGE_BYTES + at
            (folder / FILE_NAME).write_bytes(content)
            spoil(folder / FILE_NAME, place, bytes([content[place] ^ 0x41]))
            found, said = opened(folder)
            assert found - whole <= REPLACED, "something was invented"
            assert len(whole - found) <= ROWS_OF_A_PAGE, (page, at, said)
            assert said or found == whole, "damage was not noticed"
            found_damaged += bool(said)
            shutil.rmtree(folder / "damaged-1", ignore_errors=True)
    assert found_damaged > len(content) // PAGE_BYTES


def test_a_file_that_ends_early(folder: Path, made: Path, tmp_path: Path) -> None:
    whole = everything(made, tmp_path)
    content = (folder / FILE_NAME).read_bytes()
    fewest = 0
    for pages in range(len(content) // PAGE_BYTES):
        for extra in (0, 300):
            (folder / FILE_NAME).write_bytes(content[: pages * PAGE_BYTES + extra])
            found, said = opened(folder)
            assert said and found - whole <= REPLACED and not found >= whole
            fewest = max(fewest, len(found & whole))
            shutil.rmtree(folder / "damaged-1")
    assert fewest > len(whole) / 2


def test_the_last_backup_fills_the_gaps(folder: Path, made: Path, tmp_path: Path) -> None:
    whole = everything(made, tmp_path)
    with closing(SqliteStore.open(folder)) as store:
        store.backup(folder / sqlite_recovery.BACKUP)
        store.append([change("orders/1", b"after the backup"), refusal(b"worse")])
    size = (folder / FILE_NAME).stat().st_size
    spoil(folder / FILE_NAME, 0, bytes(size // 2))
    found, said = opened(folder)
    assert found >= whole and said
    with closing(SqliteStore.open(folder)) as store:
        assert store.status().quarantined >= 1
    (folder / FILE_NAME).write_bytes(b"gone")
    found, said = opened(folder)
    assert found >= whole and "damaged-2" in said


def test_a_log_without_its_database(with_log: Path, made: Path, tmp_path: Path) -> None:
    whole = everything(made, tmp_path)
    (with_log / FILE_NAME).unlink()
    found, said = opened(with_log)
    assert found - whole <= REPLACED and found >= whole
    assert "only its log is left" in said
    assert (with_log / "damaged-1" / f"{FILE_NAME}-wal").exists()


def test_an_empty_database_with_a_log(with_log: Path, made: Path, tmp_path: Path) -> None:
    whole = everything(made, tmp_path)
    (with_log / FILE_NAME).write_bytes(b"")
    found, said = opened(with_log)
    assert found - whole <= REPLACED and found >= whole
    expect_rebuilt(with_log, said, b"")


def test_a_damaged_database_with_a_log(with_log: Path, made: Path, tmp_path: Path) -> None:
    whole = everything(made, tmp_path)
    spoil(with_log / f"{FILE_NAME}-wal", 0, b"\xff" * 32)
    spoil(with_log / FILE_NAME, 0, b"\xff" * 100)
    found, said = opened(with_log)
    assert found - whole <= REPLACED and found >= whole and said


def test_a_flipped_byte_in_the_log_costs_at_most_its_page(
    with_log: Path, made: Path, tmp_path: Path
) -> None:
    whole = everything(made, tmp_path)
    content = (with_log / f"{FILE_NAME}-wal").read_bytes()
    frame = PAGE_BYTES + 24
    places = [3, 17, 25, *(32 + n * frame + at for n in range(200) for at in (9, 20, 600))]
    hidden = 0
    for place in (place for place in places if place < len(content)):
        folder = shutil.copytree(with_log, tmp_path / "harmed")
        spoil(folder / f"{FILE_NAME}-wal", place, bytes([content[place] ^ 0x41]))
        (folder / f"{FILE_NAME}-shm").unlink()
        with closing(
            sqlite3.connect(shutil.copytree(folder, tmp_path / "sqlite") / FILE_NAME)
        ) as it:
            hidden += it.execute("SELECT count(*) FROM change").fetchone()[0] < 300
        with closing(SqliteStore.open(folder)) as store:
            assert store.status().recovered == ""
            found = updates({name: store.load(name) for name in store.names()})
        assert found - whole <= REPLACED
        # A snapshot behind the damage is told by what it replaced.
        assert len({item for item in whole - found if item[0] != NAMES[0]}) <= ROWS_OF_A_PAGE
        shutil.rmtree(folder)
        shutil.rmtree(tmp_path / "sqlite")
    assert hidden > 100


@pytest.mark.parametrize("side", ["-shm", "-wal"])
@pytest.mark.parametrize("size", [0, 1, 4_000, 40_000])
def test_garbage_beside_a_sound_database(
    folder: Path, made: Path, tmp_path: Path, side: str, size: int
) -> None:
    whole = everything(made, tmp_path)
    (folder / f"{FILE_NAME}{side}").write_bytes(random.Random(size).randbytes(size))
    assert opened(folder) == (whole, "")


def test_a_log_beside_a_sound_database(with_log: Path, made: Path, tmp_path: Path) -> None:
    whole = everything(made, tmp_path)
    (with_log / f"{FILE_NAME}-shm").write_bytes(random.Random(1).randbytes(32_768))
    assert opened(with_log) == (whole, "")


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE change SET bytes = zeroblob(5) WHERE sequence = 9",
        "UPDATE change SET document = document + 1 WHERE sequence = 9",
        "UPDATE change SET sequence = 99999 WHERE sequence = 9",
        "UPDATE snapshot SET bytes = zeroblob(5)",
        "UPDATE document SET name = 'orders/other' WHERE id = 9",
        "DELETE FROM document WHERE id = 9",
        "DROP TABLE snapshot",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 0",
    ],
)
def test_a_row_or_a_mark_that_is_not_ours(folder: Path, harm: str) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as database:
        database.execute(harm)
    _, said = opened(folder)
    assert said


def test_a_refused_update_survives_a_rebuilding(folder: Path) -> None:
    spoil(folder / FILE_NAME, 0, bytes(100))
    with closing(SqliteStore.open(folder)) as store:
        assert store.status().recovered
        assert store.status().quarantined == 1


@pytest.mark.parametrize("in_log", [False, True])
def test_a_newer_database_is_left_as_it_is(folder: Path, in_log: bool) -> None:
    other = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    other.execute("PRAGMA user_version = 4")
    if in_log:
        home = folder.with_name("copy")
        shutil.copytree(folder, home)
        other.close()
        folder = home
    else:
        other.close()
    files = {path: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}
    for _ in range(2):
        with pytest.raises(GatewayError) as error:
            SqliteStore.open(folder)
        assert error.value.code == "store-newer"
        assert "update the program" in error.value.sentence
    assert {path: path.read_bytes() for path in files} == files
    assert ((folder / f"{FILE_NAME}-wal") in files) == in_log


@pytest.mark.parametrize("stop", ["waiting", "half aside", "aside"])
@pytest.mark.parametrize("word", ["damaged", "replaced"])
def test_a_replacement_that_was_interrupted_is_finished(
    folder: Path, tmp_path: Path, stop: str, word: str
) -> None:
    with closing(SqliteStore.open(tmp_path / "new")) as store:
        store.append([change("orders/new", b"new")])
    (tmp_path / "new" / FILE_NAME).rename(folder / sqlite_recovery.WAITING[word])
    (folder / f"{FILE_NAME}-wal").write_bytes(b"old log")
    if stop != "waiting":
        (folder / f"{word}-1").mkdir()
        (folder / FILE_NAME).rename(folder / f"{word}-1" / FILE_NAME)
    if stop == "aside":
        (folder / f"{FILE_NAME}-wal").rename(folder / f"{word}-1" / f"{FILE_NAME}-wal")
    assert opened(folder) == ({("orders/new", b"new")}, "")
    assert (folder / f"{word}-1" / FILE_NAME).exists()
    assert len(list(folder.glob(f"{word}-*/*-wal"))) == 1


def test_a_rebuilding_that_meets_a_full_disk_is_done_again(
    folder: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = everything(made, tmp_path)
    spoil(folder / FILE_NAME, 0, bytes(100))
    before = (folder / FILE_NAME).read_bytes()
    (folder / "rebuilding").mkdir()
    (folder / "rebuilding" / FILE_NAME).write_bytes(b"half")

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_recovery, "sync_file", full)
        with pytest.raises(GatewayError) as error:
            SqliteStore.open(folder)
    assert error.value.code == "store-full"
    assert sorted(path.name for path in folder.iterdir()) == ["lock", FILE_NAME]
    assert (folder / FILE_NAME).read_bytes() == before
    found, said = opened(folder)
    assert found - whole <= REPLACED and found >= whole and said


def make_backup(made: Path, tmp_path: Path) -> Path:
    with closing(SqliteStore.open(shutil.copytree(made / "closed", tmp_path / "source"))) as store:
        store.backup(tmp_path / "backup.db")
    return tmp_path / "backup.db"


def test_a_backup_is_brought_back(made: Path, tmp_path: Path) -> None:
    whole = everything(made, tmp_path)
    backup = make_backup(made, tmp_path)
    folder = tmp_path / "store"
    for number in (1, 2):
        with closing(SqliteStore.open(folder)) as store:
            store.append([change("orders/mine", b"mine")])
        restore(folder, backup)
        assert opened(folder) == (whole, "")
        aside = sqlite_file.connect(folder / f"replaced-{number}" / FILE_NAME)
        ((names,),) = aside.execute("SELECT group_concat(name) FROM document")
        assert "orders/mine" in names
        aside.close()
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_backup_is_brought_back_to_an_empty_place(made: Path, tmp_path: Path) -> None:
    whole = everything(made, tmp_path)
    restore(tmp_path / "new", make_backup(made, tmp_path))
    assert opened(tmp_path / "new") == (whole, "")


def test_no_backup_is_brought_back_below_a_running_gateway(
    folder: Path, made: Path, tmp_path: Path
) -> None:
    backup = make_backup(made, tmp_path)
    with closing(SqliteStore.open(folder)), pytest.raises(GatewayError) as error:
        restore(folder, backup)
    assert error.value.code == "store-locked"


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA user_version = 4")


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE change (document, sequence, bytes, checksum)")


def _is_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (_newer, "store-newer"),
        (_foreign, "backup-unusable"),
        (_is_folder, "backup-unusable"),
        (Path.unlink, "backup-unusable"),
        (lambda path: path.write_bytes(b""), "backup-unusable"),
        (lambda path: path.write_bytes(b"text"), "backup-unusable"),
        (lambda path: os.truncate(path, 5_000), "backup-unusable"),
        (lambda path: spoil(path, path.stat().st_size - 200, bytes(200)), "backup-unusable"),
    ],
)
def test_an_unusable_backup_changes_nothing(
    folder: Path, made: Path, tmp_path: Path, harm: Callable[[Path], object], code: str
) -> None:
    backup = make_backup(made, tmp_path)
    before = (folder / FILE_NAME).read_bytes()
    harm(backup)
    with pytest.raises(GatewayError) as error:
        restore(folder, backup)
    assert error.value.code == code
    assert (error.value.exit_code == 66) == (not backup.is_file())
    assert error.value.sentence.isprintable() and "nothing was changed" in error.value.sentence
    assert sorted(path.name for path in folder.iterdir()) == ["lock", FILE_NAME]
    assert (folder / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("path", sorted(DATABASES.glob("*.db")), ids=lambda path: path.stem)
def test_a_database_of_each_version_is_opened_twice(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copyfile(path, folder / FILE_NAME)
    for number in (0, 1):
        with closing(SqliteStore.open(folder)) as store:
            assert store.status().recovered == ""
            stored = store.load("orders/1")
            assert stored.snapshot == b"a snapshot"
            assert stored.changes == (b"kept", b"later", *[b"new"] * number)
            assert store.load("menu/summer").changes == (b"one", b"two" * 1_000)
            assert store.status().quarantined == 1
            assert store.status().last_sequence == 9 + number
            store.append([change("orders/1", b"new")])


def test_there_is_a_database_of_each_version() -> None:
    known = {f"v{number}" for number in range(1, sqlite_file.SCHEMA_VERSION + 1)}
    assert {path.stem for path in DATABASES.glob("*.db")} == known


@pytest.fixture
def two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that knows one version more."""
    scripts = Path(sqlite_file.__file__).with_name("schema")
    shutil.copytree(scripts, tmp_path / "program" / "schema")
    monkeypatch.setattr(sqlite_file, "files", lambda package: tmp_path / "program")
    monkeypatch.setattr(sqlite_file, "SCHEMA_VERSION", sqlite_file.SCHEMA_VERSION + 1)
    return tmp_path / "program" / "schema" / f"v{sqlite_file.SCHEMA_VERSION}.sql"


def test_an_older_database_is_brought_up_to_date(
    folder: Path, made: Path, tmp_path: Path, two_versions: Path
) -> None:
    two_versions.write_text("ALTER TABLE change ADD COLUMN more TEXT")
    before = held(folder)
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (sqlite_file.SCHEMA_VERSION,)
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert database.execute("SELECT count(more) FROM change").fetchone() == (0,)
    assert held(folder) == before


def test_a_step_between_versions_happens_whole_or_not(folder: Path, two_versions: Path) -> None:
    two_versions.write_text("ALTER TABLE change ADD COLUMN more TEXT; SELECT no_such_function()")
    with pytest.raises(GatewayError):
        SqliteStore.open(folder)
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        assert version == sqlite_file.SCHEMA_VERSION - 1
        with pytest.raises(sqlite3.OperationalError):
            database.execute("SELECT more FROM change")
