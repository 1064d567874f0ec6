"""The durable store on SQLite: an append-only log, snapshots, quarantine.

WAL with ``synchronous=FULL``: what ``append`` returned from survives a power cut
(invariant 2). Every row of a document carries a checksum over the document's name, its
sequence number and its bytes.
"""

import os
import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Self

from gateway.adapters import sqlite_file, sqlite_recovery
from gateway.adapters.sqlite_database import Database, listed
from gateway.adapters.sqlite_errors import EX_USAGE, damaged, translated
from gateway.adapters.sqlite_file import FILE_NAME, checksum
from gateway.adapters.sqlite_folder import (
    FolderLock,
    remove_unfinished,
    sync_file,
    sync_folder,
    with_side_files,
)
from gateway.adapters.sqlite_log import ROW_BYTES, UNKNOWN, Log, collection
from gateway.adapters.sqlite_outbox import SqliteOutbox
from gateway.core.errors import GatewayError
from gateway.core.records import Change, Refusal, StoredDocument, StoredRow, StoreStatus

# Quarantine is for inspection, not an archive; the oldest rows go first.
MAX_QUARANTINE_ROWS = 1_000
MAX_QUARANTINE_BYTES = 8_388_608
# Records of one transaction while a database is rebuilt.
REBUILD_RECORDS = 1_000
# Changes that a snapshot replaced are removed once they are so many bytes. A page of the log
# holds changes of several documents; removed one document at a time it would be written as often.
SWEEP_BYTES = 1_048_576

_FORGET = (
    "DELETE FROM change WHERE document IN (SELECT value FROM json_each(?))",
    "DELETE FROM snapshot WHERE document IN (SELECT value FROM json_each(?))",
    "DELETE FROM document WHERE id IN (SELECT value FROM json_each(?))",
)

# Bytes of some rows, and of the snapshot of a document.
_SIZES = (
    "SELECT (SELECT ifnull(sum(length(bytes)), 0) FROM json_each(?)"
    " CROSS JOIN change ON sequence = value),"
    " ifnull((SELECT length(bytes) FROM snapshot WHERE document = ?), 0)"
)

Record = Change | Refusal


class SqliteStore(SqliteOutbox):
    """One folder with one database. Satisfies ``Store`` and ``Outbox``; made by ``open``."""

    def __init__(self, folder: Path, lock: FolderLock, recovered: str) -> None:
        super().__init__(folder, Database(folder), Log())
        self._lock = lock
        self._recovered = recovered
        try:
            with self._database.guarded():
                self._log.read(self._database)
        except BaseException:
            self._database.close()
            raise

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
            said, unseen = sqlite_recovery.make_sound(folder, _fill)
            store = cls(folder, lock, said)
        except BaseException:
            lock.release()
            raise
        try:
            store._take(unseen)
        except BaseException:
            store.close()
            raise
        return store

    def append(self, records: Sequence[Record]) -> None:
        """See ``Store``."""
        made: dict[str, int] = {}
        written: list[tuple[int, int, Change]] = []
        quarantined = False
        with self._writing():
            for sequence, record in enumerate(records, self._log.sequence + 1):
                if isinstance(record, Change):
                    number = self._number(record.document, made)
                    self._insert(sequence, number, record)
                    written.append((sequence, number, record))
                else:
                    self._quarantine(sequence, record)
                    quarantined = True
            if quarantined:
                self._trim_quarantine()
        self._log.learn(made)
        self._log.sequence += len(records)
        for sequence, number, change in written:
            size = len(change.update)
            self._log.changes[number].append(sequence)
            self._log.usage[collection(change.document)] += size
            self._note(change.document, sequence, change.peer, size)

    def load(self, document: str) -> StoredDocument:
        """See ``Store``. A row whose checksum is wrong raises ``store-damaged``."""
        with self._database.guarded():
            number = self._log.documents.get(document, UNKNOWN)
            snapshot = self._database.rows(
                "SELECT sequence, bytes, checksum FROM snapshot WHERE document = ?", number
            )
            changes = self._database.rows(
                "SELECT sequence, bytes, checksum FROM json_each(?) CROSS JOIN change"
                " ON sequence = value ORDER BY sequence",
                listed(self._log.changes.get(number, ())),
            )
            for sequence, raw, check in snapshot + changes:
                if check != checksum(document, sequence, raw):
                    raise damaged(self._folder)
        return StoredDocument(
            b"".join(raw for _, raw, _ in snapshot), tuple(raw for _, raw, _ in changes)
        )

    def history(self, document: str) -> Sequence[StoredRow]:
        """See ``Store``."""
        with self._database.guarded():
            number = self._log.documents.get(document, UNKNOWN)
            snapshot = self._database.rows(
                "SELECT sequence, '', length(bytes), 1 FROM snapshot WHERE document = ?", number
            )
            changes = self._database.rows(
                "SELECT sequence, peer, length(bytes), 0 FROM json_each(?) CROSS JOIN change"
                " ON sequence = value ORDER BY sequence",
                listed(self._log.changes.get(number, ())),
            )
        return [
            StoredRow(sequence, peer, size, bool(whole))
            for sequence, peer, size, whole in snapshot + changes
        ]

    def compact(self, document: str, snapshot: bytes, keep: Sequence[bytes]) -> None:
        """See ``Store``. One transaction: before it all is old, after it all is new."""
        log, made = self._log, dict[str, int]()
        sequence = log.sequence + 1
        with self._writing():
            number = self._number(document, made)
            old = log.changes[number]
            ((rows_bytes, snapshot_bytes),) = self._database.rows(_SIZES, listed(old), number)
            self._database.rows(
                "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)",
                number, sequence, snapshot, checksum(document, sequence, snapshot),
            )  # fmt: skip
            for place, update in enumerate(keep, sequence + 1):
                self._insert(place, number, Change(document, update, ""))
            free, free_bytes = self._free(document, old, rows_bytes)
            replaced, replaced_bytes = log.replaced + free, log.replaced_bytes + free_bytes
            if replaced_bytes >= SWEEP_BYTES:
                self._database.rows(
                    "DELETE FROM change WHERE sequence IN (SELECT value FROM json_each(?))",
                    listed(replaced),
                )
                replaced, replaced_bytes = array("q"), 0
        log.learn(made)
        log.sequence = sequence + len(keep)
        log.changes[number] = array("q", range(sequence + 1, log.sequence + 1))
        log.replaced, log.replaced_bytes = replaced, replaced_bytes
        new_bytes = len(snapshot) + sum(map(len, keep))
        log.usage[collection(document)] += new_bytes - rows_bytes - snapshot_bytes

    def names(self, collection: str = "") -> Sequence[str]:
        """See ``Store``."""
        return sorted(self._log.names(collection))

    def held(self) -> Sequence[tuple[str, int]]:
        """See ``Store``."""
        with self._database.guarded():
            return self._database.rows(
                "SELECT name, sum(size) FROM ("
                " SELECT document, sequence, length(bytes) AS size FROM change UNION ALL"
                " SELECT document, sequence, length(bytes) FROM snapshot"
                ") JOIN document ON id = document GROUP BY name ORDER BY max(sequence)"
            )

    def forget(self, documents: Sequence[str]) -> None:
        """See ``Store``."""
        known = [name for name in documents if name in self._log.documents]
        numbers = {name: self._log.documents[name] for name in known}
        freed = Counter[str]()
        with self._writing():
            # What a snapshot replaced is not counted as used, but goes as well.
            for name, number in numbers.items():
                ((rows_bytes, snapshot_bytes),) = self._database.rows(
                    _SIZES, listed(self._log.changes[number]), number
                )
                freed[collection(name)] += rows_bytes + snapshot_bytes
            for query in _FORGET:
                self._database.rows(query, listed(numbers.values()))
        for name in known:
            self._forget(name)
        self._log.forget(known, freed)

    def quarantined(self) -> frozenset[bytes]:
        """See ``Store``."""
        with self._database.guarded():
            return frozenset(
                digest for (digest,) in self._database.rows("SELECT digest FROM quarantine")
            )

    def status(self) -> StoreStatus:
        """See ``Store``."""
        with self._database.guarded():
            return StoreStatus(
                documents=len(self._log.documents),
                changes=sum(map(len, self._log.changes.values())),
                snapshots=self._database.one("SELECT count(*) FROM snapshot"),
                quarantined=self._database.one("SELECT count(*) FROM quarantine"),
                file_bytes=sum(
                    file.stat().st_size for file in with_side_files(self._folder / FILE_NAME)
                ),
                last_sequence=self._log.sequence,
                usage=dict(self._log.usage),
                recovered=self._recovered,
            )

    def backup(self, target: Path) -> None:
        """See ``Store``. The file appears whole or not at all, readable by its owner only."""
        unfinished = target.with_name(f"{target.name}.unfinished")
        database = self._database.connection
        if target.resolve().parent == self._folder.resolve() or target.is_dir():
            raise GatewayError(
                "store-backup-target",
                f"{target} cannot be a backup; name a file outside the gateway's own folder",
                EX_USAGE,
            )
        with translated(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            remove_unfinished(unfinished)
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                with closing(sqlite3.connect(unfinished)) as copy:
                    database.backup(copy)
                    # One file, without a log beside it.
                    copy.execute("PRAGMA journal_mode = DELETE")
                sync_file(unfinished)
                unfinished.replace(target)
            except BaseException:
                remove_unfinished(unfinished)
                raise
            sync_folder(target.parent)

    def close(self) -> None:
        """See ``Store``."""
        if self._database.closed:
            return
        try:
            self._save()
        finally:
            try:
                self._database.close()
            finally:
                self._lock.release()

    def _take(self, unseen: Iterable[Record]) -> None:
        """Append what was found behind the end of the log; some of it may be here already."""
        new = [
            record for record in unseen if record.update not in self.load(record.document).changes
        ]
        if new:
            self.append(new)

    def _free(self, document: str, changes: "array[int]", size: int) -> tuple["array[int]", int]:
        """What of a document's changes (of so many bytes) does not wait, and its bytes."""
        waiting = dict(self._waiting.rows(document))
        free = array("q", (sequence for sequence in changes if sequence not in waiting))
        kept = sum(waiting.get(sequence, 0) for sequence in changes)
        return free, size - kept + ROW_BYTES * len(free)

    def _number(self, name: str, made: dict[str, int]) -> int:
        """The number of a document; one it had to be given goes into ``made`` too."""
        known = self._log.documents.get(name) or made.get(name)
        if known is not None:
            return known
        cursor = self._database.connection.execute(
            "INSERT INTO document (name) VALUES (?)", (name,)
        )
        assert cursor.lastrowid is not None
        made[name] = cursor.lastrowid
        return cursor.lastrowid

    def _insert(self, sequence: int, number: int, change: Change) -> None:
        check = checksum(change.document, sequence, change.update)
        self._database.connection.execute(
            "INSERT INTO change VALUES (?, ?, ?, ?, ?)",
            (sequence, number, change.peer, change.update, check),
        )

    def _quarantine(self, sequence: int, refusal: Refusal) -> None:
        digest = blake2b(refusal.update, digest_size=16).digest()
        self._database.rows(
            "INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?)",
            sequence, digest, refusal.document, refusal.peer, refusal.code, refusal.reason,
            refusal.update,
        )  # fmt: skip

    def _trim_quarantine(self) -> None:
        self._database.rows(
            "DELETE FROM quarantine WHERE sequence <= ("
            " SELECT max(sequence) FROM (SELECT sequence, row_number() OVER newest AS place,"
            " sum(length(bytes)) OVER newest AS size FROM quarantine"
            " WINDOW newest AS (ORDER BY sequence DESC)) WHERE place > ? OR size > ?)",
            MAX_QUARANTINE_ROWS, MAX_QUARANTINE_BYTES,
        )  # fmt: skip


def _fill(folder: Path, records: Iterable[Record]) -> None:
    """Make a store that holds ``records`` in a folder of its own, without a log."""
    rest = iter(records)
    with closing(SqliteStore.open(folder)) as store:
        while group := list(islice(rest, REBUILD_RECORDS)):
            store.append(group)
        with store._database.guarded():
            sqlite_file.fold(store._database.connection)
