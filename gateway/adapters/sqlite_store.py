"""The durable store on SQLite: an append-only log, snapshots, quarantine.

WAL with ``synchronous=FULL``: what ``append`` returned from survives a power cut
(invariant 2). Every row of a document carries a checksum over the document's name, its
sequence number and its bytes.
"""

import os
import sqlite3
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Self

from gateway.adapters import sqlite_file, sqlite_recovery
from gateway.adapters.sqlite_errors import EX_SOFTWARE, EX_USAGE, damaged, translated
from gateway.adapters.sqlite_file import FILE_NAME, checksum
from gateway.adapters.sqlite_folder import (
    FolderLock,
    remove_unfinished,
    sync_file,
    sync_folder,
    with_side_files,
)
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
# What a change costs beside its update: keys, checksum, peer.
ROW_BYTES = 64
_UNKNOWN = -1  # the number of no document

_FORGET = (
    "DELETE FROM change WHERE document IN (SELECT value FROM json_each(?))",
    "DELETE FROM snapshot WHERE document IN (SELECT value FROM json_each(?))",
    "DELETE FROM document WHERE id IN (SELECT value FROM json_each(?))",
)

Record = Change | Refusal


class SqliteStore:
    """One folder with one database. Satisfies ``Store``; made by ``open``."""

    def __init__(self, folder: Path, lock: FolderLock, recovered: str) -> None:
        self._folder = folder
        self._lock = lock
        self._recovered = recovered
        self._failure: GatewayError | None = None
        self._documents: dict[str, int] = {}
        # The same by collection.
        self._names: defaultdict[str, list[str]] = defaultdict(list)
        # The sequence numbers of each document's changes, by the document's number.
        self._changes: defaultdict[int, array[int]] = defaultdict(_no_numbers)
        # Those of changes that a snapshot replaced and that are there still; their bytes.
        self._replaced = array("q")
        self._replaced_bytes = 0
        self._usage = Counter[str]()
        self._sequence = 0
        with translated(folder):
            self._database = sqlite_file.connect(folder / FILE_NAME)
            try:
                self._count()
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
        grown = Counter[str]()
        written: list[tuple[int, int]] = []
        quarantined = False
        with self._transaction():
            for sequence, record in enumerate(records, self._sequence + 1):
                if isinstance(record, Change):
                    number = self._number(record.document, made)
                    self._insert(sequence, number, record)
                    written.append((number, sequence))
                    grown[_collection(record.document)] += len(record.update)
                else:
                    self._quarantine(sequence, record)
                    quarantined = True
            if quarantined:
                self._trim_quarantine()
        self._learn(made)
        self._sequence += len(records)
        self._usage.update(grown)
        for number, sequence in written:
            self._changes[number].append(sequence)

    def load(self, document: str) -> StoredDocument:
        """See ``Store``. A row whose checksum is wrong raises ``store-damaged``."""
        with self._guarded():
            number = self._documents.get(document, _UNKNOWN)
            snapshot = self._rows(
                "SELECT sequence, bytes, checksum FROM snapshot WHERE document = ?", number
            )
            changes = self._rows(
                "SELECT sequence, bytes, checksum FROM json_each(?) CROSS JOIN change"
                " ON sequence = value ORDER BY sequence",
                _listed(self._changes.get(number, ())),
            )
            for sequence, raw, check in snapshot + changes:
                if check != checksum(document, sequence, raw):
                    raise damaged(self._folder)
        return StoredDocument(
            b"".join(raw for _, raw, _ in snapshot), tuple(raw for _, raw, _ in changes)
        )

    def history(self, document: str) -> Sequence[StoredRow]:
        """See ``Store``."""
        with self._guarded():
            number = self._documents.get(document, _UNKNOWN)
            snapshot = self._rows(
                "SELECT sequence, '', length(bytes), 1 FROM snapshot WHERE document = ?", number
            )
            changes = self._rows(
                "SELECT sequence, peer, length(bytes), 0 FROM json_each(?) CROSS JOIN change"
                " ON sequence = value ORDER BY sequence",
                _listed(self._changes.get(number, ())),
            )
        return [
            StoredRow(sequence, peer, size, bool(whole))
            for sequence, peer, size, whole in snapshot + changes
        ]

    def compact(self, document: str, snapshot: bytes, keep: Sequence[bytes]) -> None:
        """See ``Store``. One transaction: before it all is old, after it all is new."""
        made: dict[str, int] = {}
        sequence = self._sequence + 1
        with self._transaction():
            number = self._number(document, made)
            ((rows_bytes, snapshot_bytes),) = self._rows(
                "SELECT (SELECT ifnull(sum(length(bytes)), 0) FROM json_each(?)"
                " CROSS JOIN change ON sequence = value),"
                " ifnull((SELECT length(bytes) FROM snapshot WHERE document = ?), 0)",
                _listed(self._changes[number]), number,
            )  # fmt: skip
            replaced = self._replaced + self._changes[number]
            replaced_bytes = (
                self._replaced_bytes + rows_bytes + ROW_BYTES * len(self._changes[number])
            )
            self._rows(
                "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)",
                number, sequence, snapshot, checksum(document, sequence, snapshot),
            )  # fmt: skip
            for place, update in enumerate(keep, sequence + 1):
                self._insert(place, number, Change(document, update, ""))
            if replaced_bytes >= SWEEP_BYTES:
                self._rows(
                    "DELETE FROM change WHERE sequence IN (SELECT value FROM json_each(?))",
                    _listed(replaced),
                )
                replaced, replaced_bytes = array("q"), 0
        self._learn(made)
        self._sequence = sequence + len(keep)
        self._changes[number] = array("q", range(sequence + 1, self._sequence + 1))
        self._replaced, self._replaced_bytes = replaced, replaced_bytes
        new_bytes = len(snapshot) + sum(map(len, keep))
        self._usage[_collection(document)] += new_bytes - rows_bytes - snapshot_bytes

    def names(self, collection: str = "") -> Sequence[str]:
        """See ``Store``."""
        return sorted(self._names.get(collection, ()) if collection else self._documents)

    def held(self) -> Sequence[tuple[str, int]]:
        """See ``Store``."""
        with self._guarded():
            return self._rows(
                "SELECT name, sum(size) FROM ("
                " SELECT document, sequence, length(bytes) AS size FROM change UNION ALL"
                " SELECT document, sequence, length(bytes) FROM snapshot"
                ") JOIN document ON id = document GROUP BY name ORDER BY max(sequence)"
            )

    def forget(self, documents: Sequence[str]) -> None:
        """See ``Store``."""
        known = [name for name in documents if name in self._documents]
        numbers = _listed(self._documents[name] for name in known)
        freed = Counter[str]()
        with self._transaction():
            # What a snapshot replaced is not counted as used, but goes as well.
            for name in known:
                number = self._documents[name]
                ((freed_bytes,),) = self._rows(
                    "SELECT (SELECT ifnull(sum(length(bytes)), 0) FROM json_each(?)"
                    " CROSS JOIN change ON sequence = value) +"
                    " ifnull((SELECT length(bytes) FROM snapshot WHERE document = ?), 0)",
                    _listed(self._changes[number]), number,
                )  # fmt: skip
                freed[_collection(name)] += freed_bytes
            for query in _FORGET:
                self._rows(query, numbers)
        for name in known:
            self._changes.pop(self._documents.pop(name), None)
            self._names[_collection(name)].remove(name)
        self._usage -= freed

    def _learn(self, made: Mapping[str, int]) -> None:
        self._documents.update(made)
        for name in made:
            self._names[_collection(name)].append(name)

    def quarantined(self) -> frozenset[bytes]:
        """See ``Store``."""
        with self._guarded():
            return frozenset(digest for (digest,) in self._rows("SELECT digest FROM quarantine"))

    def status(self) -> StoreStatus:
        """See ``Store``."""
        with self._guarded():
            return StoreStatus(
                documents=len(self._documents),
                changes=sum(map(len, self._changes.values())),
                snapshots=self._one("SELECT count(*) FROM snapshot"),
                quarantined=self._one("SELECT count(*) FROM quarantine"),
                file_bytes=sum(
                    file.stat().st_size for file in with_side_files(self._folder / FILE_NAME)
                ),
                last_sequence=self._sequence,
                usage=dict(self._usage),
                recovered=self._recovered,
            )

    def backup(self, target: Path) -> None:
        """See ``Store``. The file appears whole or not at all, readable by its owner only."""
        unfinished = target.with_name(f"{target.name}.unfinished")
        database = self._open()
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
        if self._failure is not None and self._failure.code == "store-closed":
            return
        self._failure = GatewayError(
            "store-closed", "the store is closed; open it again", EX_SOFTWARE
        )
        try:
            with translated(self._folder):
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

    def _count(self) -> None:
        """Read what is kept in memory about the database; after that it is kept up to date."""
        self._learn(dict(self._rows("SELECT name, id FROM document")))
        self._sequence = self._one(sqlite_file.LAST_SEQUENCE)
        snapshots = self._rows("SELECT document, sequence, length(bytes) FROM snapshot")
        starts = {number: sequence for number, sequence, _ in snapshots}
        sizes = Counter[int]({number: size for number, _, size in snapshots})
        for number, sequence, size in self._database.execute(
            "SELECT document, sequence, length(bytes) FROM change ORDER BY sequence"
        ):
            if sequence < starts.get(number, 0):
                self._replaced.append(sequence)
                self._replaced_bytes += size + ROW_BYTES
            else:
                self._changes[number].append(sequence)
                sizes[number] += size
        collections = {number: _collection(name) for name, number in self._documents.items()}
        for number, size in sizes.items():
            self._usage[collections[number]] += size

    def _open(self) -> sqlite3.Connection:
        if self._failure is not None:
            raise self._failure
        return self._database

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Translate errors; after one that is not passing the store does nothing any more."""
        self._open()
        try:
            with translated(self._folder):
                yield
        except GatewayError as error:
            if error.code != "store-full":
                self._failure = error
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guarded():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # SQLite rolls back by itself after some errors.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _number(self, name: str, made: dict[str, int]) -> int:
        """The number of a document; one it had to be given goes into ``made`` too."""
        known = self._documents.get(name) or made.get(name)
        if known is not None:
            return known
        cursor = self._database.execute("INSERT INTO document (name) VALUES (?)", (name,))
        assert cursor.lastrowid is not None
        made[name] = cursor.lastrowid
        return cursor.lastrowid

    def _insert(self, sequence: int, number: int, change: Change) -> None:
        check = checksum(change.document, sequence, change.update)
        self._database.execute(
            "INSERT INTO change VALUES (?, ?, ?, ?, ?)",
            (sequence, number, change.peer, change.update, check),
        )

    def _quarantine(self, sequence: int, refusal: Refusal) -> None:
        digest = blake2b(refusal.update, digest_size=16).digest()
        self._rows(
            "INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?)",
            sequence, digest, refusal.document, refusal.peer, refusal.code, refusal.reason,
            refusal.update,
        )  # fmt: skip

    def _trim_quarantine(self) -> None:
        self._rows(
            "DELETE FROM quarantine WHERE sequence <= ("
            " SELECT max(sequence) FROM (SELECT sequence, row_number() OVER newest AS place,"
            " sum(length(bytes)) OVER newest AS size FROM quarantine"
            " WINDOW newest AS (ORDER BY sequence DESC)) WHERE place > ? OR size > ?)",
            MAX_QUARANTINE_ROWS, MAX_QUARANTINE_BYTES,
        )  # fmt: skip

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._database.execute(query, values).fetchall()

    def _one(self, query: str) -> Any:
        return self._database.execute(query).fetchone()[0]


def _no_numbers() -> "array[int]":
    return array("q")


def _listed(numbers: Iterable[int]) -> str:
    """Numbers as SQL takes them."""
    return str(list(numbers))


def _collection(document: str) -> str:
    return document.partition("/")[0]


def _fill(folder: Path, records: Iterable[Record]) -> None:
    """Make a store that holds ``records`` in a folder of its own, without a log."""
    rest = iter(records)
    with closing(SqliteStore.open(folder)) as store:
        while group := list(islice(rest, REBUILD_RECORDS)):
            store.append(group)
        with store._guarded():
            sqlite_file.fold(store._database)
