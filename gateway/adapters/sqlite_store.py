"""The durable store on SQLite: an append-only log, snapshots, quarantine.

WAL with ``synchronous=FULL``: what ``append`` returned from survives a power cut. Every
row carries a checksum over its document's name, its sequence number and its bytes.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Self

from gateway.adapters import sqlite_recovery as recovery
from gateway.adapters.sqlite_errors import translated
from gateway.adapters.store_folder import FolderLock, sync_folder
from gateway.core.errors import GatewayError
from gateway.core.records import Change, Refusal, StoredDocument, StoreStatus

APPLICATION_ID = 0x53744757  # "StGW"
SCHEMA_VERSION = 1
FILE_NAME = "store.db"
BACKUP_NAME = "last-good.db"
# Quarantine is for inspection, not an archive; the oldest rows go first.
MAX_QUARANTINE_ROWS = 1_000
MAX_QUARANTINE_BYTES = 8_388_608
# The log is folded back into the database at this many pages of 4 kB.
CHECKPOINT_PAGES = 1_000
CACHE_KIB = 8_192

Record = Change | Refusal


class SqliteStore:
    """One folder with one database. Satisfies ``Store``."""

    def __init__(self, folder: Path, lock: FolderLock, recovered: str) -> None:
        self._folder = folder
        self._lock = lock
        self._recovered = recovered
        self._database: sqlite3.Connection | None = connect(folder / FILE_NAME)
        with translated(folder):
            self._documents: dict[str, int] = dict(self._rows("SELECT name, id FROM document"))
            self._sequence: int = self._one(
                "SELECT max(ifnull((SELECT max(sequence) FROM change), 0),"
                " ifnull((SELECT max(sequence) FROM quarantine), 0))"
            )

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the store in ``folder``, made if missing; only one process may have it.

        A damaged database is set aside and rebuilt from what of it is sound and from the
        last backup; ``status().recovered`` says so. Raises ``GatewayError``:
        ``store-folder``, ``store-locked``, ``store-newer``, ``store-read-only``,
        ``store-full``, ``store-failed``.
        """
        lock = FolderLock(folder)
        try:
            recovered = recovery.make_sound(folder, FILE_NAME, BACKUP_NAME)
            return cls(folder, lock, recovered)
        except BaseException:
            lock.release()
            raise

    def append(self, records: Sequence[Record]) -> None:
        """See ``Store``."""
        with self._transaction() as database:
            sequence = self._sequence
            made: dict[str, int] = {}
            for record in records:
                sequence += 1
                if isinstance(record, Change):
                    number = self._documents.get(record.document) or made.get(record.document)
                    if number is None:
                        number = made[record.document] = self._make_document(record.document)
                    database.execute(
                        "INSERT INTO change VALUES (?, ?, ?, ?, ?)",
                        (
                            sequence, number, record.peer, record.update,
                            checksum(record.document, sequence, record.update),
                        ),
                    )  # fmt: skip
                else:
                    self._quarantine(sequence, record)
        self._documents.update(made)
        self._sequence = sequence

    def load(self, document: str) -> StoredDocument:
        """See ``Store``. Rows whose checksum is wrong are left out; peers fill the gap."""
        number = self._documents.get(document)
        if number is None:
            return StoredDocument(b"", ())
        with translated(self._folder):
            snapshots = self._rows(
                "SELECT bytes, checksum FROM snapshot WHERE document = ?", number
            )
            changes = self._rows(
                "SELECT sequence, bytes, checksum FROM change WHERE document = ? ORDER BY sequence",
                number,
            )
        whole = b"".join(raw for raw, check in snapshots if check == checksum(document, 0, raw))
        sound = tuple(
            raw for sequence, raw, check in changes if check == checksum(document, sequence, raw)
        )
        return StoredDocument(whole, sound)

    def compact(self, document: str, snapshot: bytes, keep: Sequence[bytes]) -> None:
        """See ``Store``. One transaction: before it all is old, after it all is new."""
        number = self._documents.get(document)
        if number is None:
            return
        with self._transaction() as database:
            database.execute(
                "INSERT INTO snapshot VALUES (?1, ?2, ?3)"
                " ON CONFLICT (document) DO UPDATE SET bytes = ?2, checksum = ?3",
                (number, snapshot, checksum(document, 0, snapshot)),
            )
            database.execute("DELETE FROM change WHERE document = ?", (number,))
            sequence = self._sequence
            for update in keep:
                sequence += 1
                check = checksum(document, sequence, update)
                database.execute(
                    "INSERT INTO change VALUES (?, ?, '', ?, ?)", (sequence, number, update, check)
                )
        self._sequence = sequence

    def names(self) -> Sequence[str]:
        """See ``Store``."""
        return sorted(self._documents)

    def quarantined(self) -> frozenset[bytes]:
        """See ``Store``."""
        with translated(self._folder):
            return frozenset(digest for (digest,) in self._rows("SELECT digest FROM quarantine"))

    def status(self) -> StoreStatus:
        """See ``Store``."""
        with translated(self._folder):
            usage = dict(
                self._rows(
                    "SELECT substr(name, 1, instr(name, '/') - 1), sum(size) FROM ("
                    " SELECT document, length(bytes) AS size FROM change UNION ALL"
                    " SELECT document, length(bytes) FROM snapshot"
                    ") JOIN document ON document.id = document GROUP BY 1"
                )
            )
            changes: int = self._one("SELECT count(*) FROM change")
            snapshots: int = self._one("SELECT count(*) FROM snapshot")
            quarantined: int = self._one("SELECT count(*) FROM quarantine")
        size = sum(path.stat().st_size for path in self._folder.glob(f"{FILE_NAME}*"))
        return StoreStatus(
            len(self._documents), changes, snapshots, quarantined, size, self._sequence, usage,
            self._recovered,
        )  # fmt: skip

    def backup(self, target: Path) -> None:
        """See ``Store``. The file appears whole or not at all, readable by its owner only."""
        unfinished = target.with_name(f"{target.name}.unfinished")
        with translated(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished.unlink(missing_ok=True)
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            copy = sqlite3.connect(unfinished)
            try:
                self._open().backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            unfinished.replace(target)
            sync_folder(target.parent)

    def close(self) -> None:
        """See ``Store``."""
        database, self._database = self._database, None
        if database is not None:
            database.close()
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise GatewayError("store-closed", "the store is closed", 70)
        return self._database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with translated(self._folder):
            database = self._open()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                # After a failed commit SQLite may have rolled back already.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def _make_document(self, name: str) -> int:
        cursor = self._open().execute("INSERT INTO document (name) VALUES (?)", (name,))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _quarantine(self, sequence: int, refusal: Refusal) -> None:
        database = self._open()
        digest = blake2b(refusal.update, digest_size=16).digest()
        database.execute("DELETE FROM quarantine WHERE digest = ?", (digest,))
        database.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                sequence, digest, refusal.document, refusal.peer, refusal.code, refusal.reason,
                refusal.update,
            ),
        )  # fmt: skip
        database.execute(
            "DELETE FROM quarantine WHERE sequence <= ("
            " SELECT sequence FROM (SELECT sequence, row_number() OVER newest AS place,"
            " sum(length(bytes)) OVER newest AS size FROM quarantine"
            " WINDOW newest AS (ORDER BY sequence DESC)) WHERE place > ? OR size > ?"
            " ORDER BY sequence DESC LIMIT 1)",
            (MAX_QUARANTINE_ROWS, MAX_QUARANTINE_BYTES),
        )

    def _rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        return self._open().execute(query, values).fetchall()

    def _one(self, query: str) -> object:
        return self._open().execute(query).fetchone()[0]


def checksum(document: str, sequence: int, raw: bytes) -> int:
    """CRC-32 of a row; 0 stands for the sequence number of a snapshot."""
    return zlib.crc32(raw, zlib.crc32(f"{document}\0{sequence}\0".encode()))


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings; the schema is made when the file is new.

    Raises ``GatewayError`` ``store-newer`` when the file's schema is newer than this program.
    """
    with translated(path.parent):
        fresh = not path.exists()
        if fresh:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
            database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            _migrate(database)
        except BaseException:
            database.close()
            raise
        if fresh:
            sync_folder(path.parent)
        return database


def _migrate(database: sqlite3.Connection) -> None:
    """Bring the schema up to date, one file a version, each in one transaction."""
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    recovery.refuse_newer(version)
    for number in range(version + 1, SCHEMA_VERSION + 1):
        script = files("gateway.adapters").joinpath(f"schema/v{number}.sql").read_text()
        database.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {number}; COMMIT"
        )
