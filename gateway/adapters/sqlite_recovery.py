"""Checking a database at start, setting a damaged one aside, rebuilding, restoring.

A damaged file is moved, never deleted. Yjs updates may be applied twice and in any
order, so a new database is simply the union of what is still readable with a valid
checksum and of the last good backup; peers bring the rest.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.adapters import sqlite_store as store
from gateway.adapters.sqlite_errors import translated
from gateway.adapters.store_folder import FolderLock, sync_folder
from gateway.core.errors import GatewayError
from gateway.core.records import Change

EX_DATAERR, EX_CONFIG = 65, 78
# Rows written to a rebuilt database in one transaction.
REBUILD_ROWS = 1_000
_SIDE_FILES = ("", "-wal", "-shm")


def make_sound(folder: Path, file_name: str, backup_name: str) -> str:
    """Check the database; rebuild a damaged one. Returns what was done as a sentence, or "".

    Raises ``GatewayError`` ``store-newer`` for a schema this program does not know.
    """
    path = folder / file_name
    with translated(folder):
        if not path.exists() and not path.with_name(f"{file_name}-wal").exists():
            return ""
        if path.exists() and is_sound(path):
            return ""
        aside = _set_aside(folder, file_name)
        backup = folder / "backups" / backup_name
        rows = _rebuild(path, [aside / file_name, backup])
    return (
        f"The database was damaged. It is kept in {aside.name}, {rows} changes were"
        " recovered; devices that connect bring what is missing."
    )


def restore(folder: Path, source: Path) -> None:
    """Replace the database in ``folder`` by a backup; the old one is set aside.

    Raises ``GatewayError``: ``store-locked`` while a gateway runs, ``backup-unusable``,
    ``store-newer``.
    """
    lock = FolderLock(folder)
    try:
        with translated(folder):
            _check_backup(source)
            target = folder / store.FILE_NAME
            fresh = target.with_name(f"{store.FILE_NAME}.unfinished")
            shutil.copyfile(source, fresh)
            fresh.chmod(0o600)
            with fresh.open("rb+") as file:
                store.os.fsync(file.fileno())
            if any(target.with_name(target.name + side).exists() for side in _SIDE_FILES):
                _set_aside(folder, store.FILE_NAME, "replaced")
            fresh.replace(target)
            sync_folder(folder)
    finally:
        lock.release()


def refuse_newer(version: int) -> None:
    """Raise ``store-newer`` when a schema version is newer than ours."""
    if version > store.SCHEMA_VERSION:
        raise GatewayError(
            "store-newer",
            f"the data was written by a newer version of this program (schema {version}, this"
            f" one knows {store.SCHEMA_VERSION}); update the program; nothing was changed",
            EX_CONFIG,
        )


def is_sound(path: Path) -> bool:
    """Whether SQLite and every checksum find nothing wrong."""
    try:
        with closing(sqlite3.connect(path)) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not path.stat().st_size:
                # Made, and the power failed before the schema was written.
                return not path.with_name(f"{path.name}-wal").exists()
            refuse_newer(version)
            if database.execute("PRAGMA application_id").fetchone()[0] != store.APPLICATION_ID:
                return version == 0 and not _tables(database)
            if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return False
            return all(sound for _, sound in _checked_rows(database))
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname in ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR"):
            return False
        if error.sqlite_errorname.startswith("SQLITE_CORRUPT"):
            return False
        raise


def _tables(database: sqlite3.Connection) -> int:
    count: int = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return count


def _checked_rows(database: sqlite3.Connection) -> Iterator[tuple[Change, bool]]:
    """Every stored row and whether its checksum is right, as far as they can be read."""
    names = dict(database.execute("SELECT id, name FROM document"))
    queries = (
        "SELECT document, 0, bytes, checksum FROM snapshot",
        "SELECT document, sequence, bytes, checksum FROM change ORDER BY sequence",
    )
    for query in queries:
        for number, sequence, raw, check in database.execute(query):
            name = names.get(number)
            sound = (
                isinstance(name, str)
                and isinstance(raw, bytes)
                and check == store.checksum(name, sequence, raw)
            )
            yield Change(str(name), raw, ""), sound


def _readable(path: Path) -> Iterator[Change]:
    """Rows with a valid checksum, until the file cannot be read any further."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as database:
            for change, sound in _checked_rows(database):
                if sound:
                    yield change
    except sqlite3.DatabaseError:
        # The rest of this file is lost; the other source and the peers have it.
        return


def _rebuild(path: Path, sources: list[Path]) -> int:
    database = store.connect(path)
    database.close()
    count = 0
    with closing(store.SqliteStore(path.parent, _NoLock(path.parent), "")) as fresh:
        for source in sources:
            some: list[Change] = []
            for change in _readable(source):
                some.append(change)
                if len(some) == REBUILD_ROWS:
                    fresh.append(some)
                    count, some = count + len(some), []
            if some:
                fresh.append(some)
                count += len(some)
    return count


class _NoLock(FolderLock):
    """The caller holds the folder already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def release(self) -> None:
        """Nothing was taken."""


def _set_aside(folder: Path, file_name: str, word: str = "damaged") -> Path:
    number = 1
    while (aside := folder / f"{word}-{number}").exists():
        number += 1
    aside.mkdir(mode=0o700)
    for side in _SIDE_FILES:
        path = folder / f"{file_name}{side}"
        if path.exists():
            path.rename(aside / path.name)
    sync_folder(folder)
    return aside


def _check_backup(source: Path) -> None:
    if not source.is_file():
        raise GatewayError("backup-unusable", f"{source} is not a file", EX_DATAERR)
    header = source.open("rb").read(16)
    if header != b"SQLite format 3\0" or not is_sound(source):
        raise GatewayError(
            "backup-unusable",
            f"{source} is not a sound backup of a gateway; nothing was changed",
            EX_DATAERR,
        )
