"""One database file: made, opened with our settings, migrated, checked.

A new file gets its name only once it is whole, so a file of that name without our mark
is damaged or foreign.
"""

import os
import shutil
import sqlite3
import struct
import zlib
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from gateway.adapters.sqlite_errors import is_damage
from gateway.adapters.sqlite_folder import remove_unfinished, sync_file, sync_folder
from gateway.core.errors import GatewayError

FILE_NAME = "store.db"
APPLICATION_ID = 0x53744757  # "StGW"
SCHEMA_VERSION = 3
# A commit writes whole pages to the log, one after the other: small pages wear a card less.
# sqlite_carve counts on this size.
PAGE_BYTES = 1_024
# The log is folded back into the database at this many pages, 4 MB.
CHECKPOINT_PAGES = 4_000
CACHE_KIB = 512
EX_CONFIG = 78

LAST_SEQUENCE = """
SELECT max(
    (SELECT ifnull(max(sequence), 0) FROM change),
    (SELECT ifnull(max(sequence), 0) FROM snapshot),
    (SELECT ifnull(max(sequence), 0) FROM quarantine)
)
"""


def checksum(document: str, sequence: int, raw: bytes) -> int:
    """CRC-32 of a row of a document."""
    return zlib.crc32(raw, zlib.crc32(f"{document}\0{sequence}\0".encode()))


def make(path: Path) -> None:
    """Make an empty database, readable by its owner only, all of it or nothing."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    remove_unfinished(unfinished)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(connect(unfinished)) as database:
        fold(database)
    sync_file(unfinished)
    unfinished.replace(path)
    sync_folder(path.parent)


def connect(path: Path) -> sqlite3.Connection:
    """A connection to an existing file with our settings, its schema up to date.

    Raises ``sqlite3.Error`` and ``OSError``.
    """
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        _migrate(database)
        # The log has its name from here on. SQLite syncs that too, but ignores a failure.
        sync_folder(path.parent)
    except BaseException:
        database.close()
        raise
    return database


def fold(database: sqlite3.Connection) -> None:
    """Put all of the log into the file, so that the file alone is the database.

    Closing does that too, but says nothing when it fails. Raises ``sqlite3.Error``.
    """
    busy: int = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        raise sqlite3.OperationalError("the log is in use")


def renew_log(path: Path) -> None:
    """Write the log of a database that nobody uses to the disk once more.

    After a failed fsync the system shows what it read back from memory and takes a second
    fsync for done, though nothing was written. Building on such a log would lose what was
    acknowledged after it.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or log.stat().st_size == 0:
        return
    renewed = path.with_name(f"{path.name}.unfinished-wal")
    shutil.copyfile(log, renewed)
    renewed.chmod(0o600)
    sync_file(renewed)
    renewed.replace(log)
    sync_folder(path.parent)


def _migrate(database: sqlite3.Connection) -> None:
    """Bring the schema up to date, one file a version, each in one transaction."""
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    for number in range(version + 1, SCHEMA_VERSION + 1):
        script = files("gateway.adapters").joinpath(f"schema/v{number}.sql").read_text()
        database.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {number}; COMMIT"
        )


def fault(path: Path) -> str:
    """What is wrong with the database in ``path``, or ""; the file is not touched.

    Raises ``GatewayError`` ``store-newer`` for a schema this program does not know, and
    ``sqlite3.Error`` when the disk cannot be read.
    """
    # SQLite deletes the log of an empty database when it opens it.
    if path.stat().st_size == 0:
        return "it is empty"
    try:
        with closing(_reading(path)) as database:
            if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                return "it is not one of this program"
            version: int = database.execute("PRAGMA user_version").fetchone()[0]
            if version < 1:
                return "it is not finished"
            _refuse_newer(version)
            if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return "its pages contradict each other"
            return _wrong_row(database)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return "it cannot be read"


def seen(path: Path) -> tuple[int, int, dict[int, str]]:
    """How many frames of the log SQLite sees, the last sequence number, the documents' names.

    The file is not touched. Raises ``sqlite3.Error`` and ``OSError``.
    """
    with closing(_reading(path)) as database:
        names = dict(database.execute("SELECT id, name FROM document"))
        last: int = database.execute(LAST_SEQUENCE).fetchone()[0]
        # The index of the log: https://sqlite.org/walformat.html#the_wal_index_file_format
        with path.with_name(f"{path.name}-shm").open("rb") as index:
            (frames,) = struct.unpack("=16xI", index.read(20))
    return frames, last, names


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _refuse_newer(version: int) -> None:
    if version > SCHEMA_VERSION:
        raise GatewayError(
            "store-newer",
            f"the data was written by a newer version of this program (schema {version}, this"
            f" one knows {SCHEMA_VERSION}); update the program; nothing was changed",
            EX_CONFIG,
        )


def _wrong_row(database: sqlite3.Connection) -> str:
    names: dict[int, str] = dict(database.execute("SELECT id, name FROM document"))
    for table in ("snapshot", "change"):
        query = f"SELECT document, sequence, bytes, checksum FROM {table}"  # noqa: S608
        for number, sequence, raw, check in database.execute(query):
            name = names.get(number)
            if name is None or check != checksum(name, sequence, raw):
                return f"a {table} has a wrong checksum"
    return ""
