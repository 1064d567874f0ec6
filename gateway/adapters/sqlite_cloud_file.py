"""The file of a hub's database: made, opened with our settings, migrated; its errors as the hub's.

Several processes of one machine may have it open; each waits while another writes.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from gateway.adapters.sqlite_errors import translated
from gateway.adapters.sqlite_folder import LOCK_NAME, sync_folder
from gateway.core.errors import GatewayError

FILE_NAME = "hub.db"
APPLICATION_ID = 0x53744748  # "StGH"
SCHEMA_VERSION = 1
# How long a transaction waits for those of other processes; each is a few fsyncs at most.
BUSY_SECONDS = 10.0
CHECKPOINT_PAGES = 2_000  # of 4 kB
EX_CONFIG, EX_UNAVAILABLE = 78, 69

_SENTENCES = {
    "damaged": "the hub's database in {} is damaged; stop the hub and restore a backup",
    "unreachable": "other programs keep the hub's database in {} busy",
}


def connect(folder: Path) -> sqlite3.Connection:
    """A connection to the database in ``folder``, both made if missing.

    Raises as ``hub_errors`` does, and ``hub-database-newer``, ``hub-database-foreign``.
    """
    with hub_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(folder):
            path = folder / FILE_NAME
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            return _opened(path)


@contextmanager
def hub_errors(folder: Path) -> Iterator[None]:
    """Raise ``GatewayError`` ``hub-database-…`` instead of SQLite's or the system's errors.

    ``hub-database-unreachable`` and ``-full`` pass; after any other the database must be closed.
    """
    try:
        with translated(folder):
            yield
    except GatewayError as error:
        if not error.code.startswith("store-"):
            raise
        word = error.code.removeprefix("store-").replace("locked", "unreachable")
        sentence = _SENTENCES.get(word, error.sentence).format(folder)
        raise GatewayError(f"hub-database-{word}", sentence, error.exit_code) from error.__cause__


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While a database is made or migrated other processes wait."""
    lock = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
    )
    try:
        _refuse_others(path, database)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        _migrate(database)
        sync_folder(path.parent)
    except BaseException:
        database.close()
        raise
    return database


def _refuse_others(path: Path, database: sqlite3.Connection) -> None:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    mark: int = database.execute("PRAGMA application_id").fetchone()[0]
    tables: int = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if mark != APPLICATION_ID and tables:
        raise GatewayError(
            "hub-database-foreign",
            f"{path} is no database of a hub; choose another folder; nothing was changed",
            EX_CONFIG,
        )
    if version > SCHEMA_VERSION:
        raise GatewayError(
            "hub-database-newer",
            f"the hub's database was written by a newer version of this program (schema {version},"
            f" this one knows {SCHEMA_VERSION}); update the program; nothing was changed",
            EX_CONFIG,
        )


def _migrate(database: sqlite3.Connection) -> None:
    """Bring the schema up to date, one file a version, each in one transaction."""
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    for number in range(version + 1, SCHEMA_VERSION + 1):
        name = f"schema/sqlite_cloud_v{number}.sql"
        script = files("gateway.adapters").joinpath(name).read_text()
        database.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {number}; COMMIT"
        )
