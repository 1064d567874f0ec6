"""The log as an outbox: which of its rows wait for the cloud, and what of that is on the disk.

A row waits while its number is above the *mark*, its collection is relayed and its peer is
neither the cloud nor nobody (copies kept at a compaction; their originals wait). Only the mark is
written, and with what is written anyway: while the cloud is away the log alone grows. What a
snapshot replaced is kept until it was sent.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.adapters.sqlite_database import Database, listed
from gateway.adapters.sqlite_errors import damaged
from gateway.adapters.sqlite_file import checksum
from gateway.adapters.sqlite_log import Log, collection
from gateway.adapters.sqlite_waiting import Row, WaitingRows
from gateway.core.errors import GatewayError
from gateway.core.records import CLOUD, MOST_READ_BYTES, OutboxStatus, Waiting

# The mark goes along with a transaction when it moved by so many numbers: it costs a page, and
# losing it only means that so much is sent again.
MARK_ROWS = 256
# When it moved by so many and nothing else is written, it is worth a transaction of its own:
# seconds of sending at full speed.
MARK_ALONE_ROWS = 4_096
# For how long the oldest waits is written along when it is so much longer: after a loss of power so
# much is missing.
WAITED_SECONDS = 3_600


class SqliteOutbox:
    """The part of ``SqliteStore`` that satisfies ``Outbox``."""

    def __init__(self, folder: Path, database: Database, log: Log) -> None:
        self._folder = folder
        self._database = database
        self._log = log
        self._waiting = WaitingRows()
        self._relaying = False
        self._left = False
        # None: of all.
        self._collections: frozenset[str] | None = None
        # The mark that is on the disk, and for how long the first row above it waited then.
        self._written = self._written_waited = 0
        # The same, as it was noted last: the row, for how long.
        self._noted: tuple[int | None, int] = (None, 0)

    def relay(self, collections: Sequence[str] | None) -> None:
        """See ``Outbox``."""
        self._collections = None if collections is None else frozenset(collections)
        with self._database.guarded():
            row = self._database.rows("SELECT mark, away, waited FROM outbox")
        if row:
            ((self._written, away, self._written_waited),) = row
            self._left = bool(away)
        else:
            self._decide(left=False)
        self._relaying = True
        if not self._left:
            self._find()
            # Of another row nothing is known.
            self._noted = self._written + 1, self._written_waited

    def waiting(self, most: int) -> Sequence[str]:
        """See ``Outbox``."""
        return self._waiting.documents(most)

    def read(self, document: str, after: int = 0) -> Waiting:
        """See ``Outbox``. A row whose checksum is wrong raises ``store-damaged``."""
        rows, more = self._waiting.part(document, after, MOST_READ_BYTES)
        if not rows:
            return Waiting(0, ())
        with self._database.guarded():
            found = self._database.rows(
                "SELECT sequence, bytes, checksum FROM json_each(?) CROSS JOIN change"
                " ON sequence = value ORDER BY sequence",
                listed(sequence for sequence, _ in rows),
            )
            for sequence, raw, check in found:
                if check != checksum(document, sequence, raw):
                    raise damaged(self._folder)
        return Waiting(rows[-1][0], tuple(raw for _, raw, _ in found), more)

    def sent(self, document: str, last: int) -> None:
        """See ``Outbox``."""
        self._release(document, self._waiting.drop(document, last))
        if self._moved() >= MARK_ALONE_ROWS:
            self._save()

    def merge(self, document: str, last: int, update: bytes) -> None:
        """See ``Outbox``. The newest of the rows has the update from then on, the others go.

        So ``last`` still names it, and the document keeps its place in all orders.
        """
        rows = self._waiting.upto(document, last)
        if not rows:
            return
        *gone, (place, _) = rows
        with self._writing():
            self._database.rows(
                "DELETE FROM change WHERE sequence IN (SELECT value FROM json_each(?))",
                listed(sequence for sequence, _ in gone),
            )
            self._database.rows(
                "UPDATE change SET bytes = ?, checksum = ? WHERE sequence = ?",
                update, checksum(document, place, update), place,
            )  # fmt: skip
        self._waiting.merge(document, last, len(update))
        self._log.merge(document, rows, len(update))

    def leave(self) -> None:
        """See ``Outbox``."""
        if self._left:
            return
        self._decide(left=True)
        for document, rows in self._waiting.clear().items():
            self._release(document, rows)

    def resume(self) -> None:
        """See ``Outbox``."""
        if self._left:
            self._decide(left=False)

    def outbox_status(self) -> OutboxStatus:
        """See ``Outbox``."""
        return OutboxStatus(len(self._waiting), self._waiting.bytes, self._left, self._waited())

    def note_waited(self, seconds: int) -> None:
        """See ``Outbox``."""
        self._noted = self._waiting.first(), seconds

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction; the mark goes along when that pays."""
        pays = self._moved() >= MARK_ROWS or self._grown() >= WAITED_SECONDS
        mark, waited = self._mark(), self._waited()
        with self._database.transaction():
            yield
            if pays:
                self._write(mark, left=False, waited=waited)
        if pays:
            self._written, self._written_waited = mark, waited

    def _note(self, document: str, sequence: int, peer: str, size: int) -> None:
        """A change was written."""
        if self._relaying and not self._left and peer not in (CLOUD, "") and self._takes(document):
            self._waiting.add(document, sequence, size)

    def _forget(self, document: str) -> None:
        """All of a document is gone."""
        self._waiting.drop(document, self._log.sequence)

    def _save(self) -> None:
        """Write the mark, if there is something new about it and the disk takes it."""
        if not (self._moved() or self._grown()) or not self._database.sound:
            return
        mark, waited = self._mark(), self._waited()
        try:
            with self._database.transaction():
                self._write(mark, left=False, waited=waited)
        except GatewayError as error:
            if error.code != "store-full":
                raise
            return
        self._written, self._written_waited = mark, waited

    def _mark(self) -> int:
        first = self._waiting.first()
        return self._log.sequence if first is None else first - 1

    def _moved(self) -> int:
        return self._mark() - self._written if self._relaying and not self._left else 0

    def _waited(self) -> int:
        """For how long the oldest waits, as far as is known."""
        row, seconds = self._noted
        return seconds if row is not None and row == self._waiting.first() else 0

    def _grown(self) -> int:
        """By how much that is longer than what the disk says."""
        is_same = self._mark() == self._written
        return self._waited() - (self._written_waited if is_same else 0)

    def _decide(self, *, left: bool) -> None:
        """From here on nothing that is there waits; durable on return."""
        mark = self._log.sequence
        with self._database.transaction():
            self._write(mark, left=left, waited=0)
        self._written, self._written_waited, self._left = mark, 0, left

    def _write(self, mark: int, *, left: bool, waited: int) -> None:
        self._database.rows("INSERT OR REPLACE INTO outbox VALUES (1, ?, ?, ?)", mark, left, waited)

    def _takes(self, document: str) -> bool:
        return self._collections is None or collection(document) in self._collections

    def _find(self) -> None:
        """What waits since an earlier time."""
        names = {n: name for name, n in self._log.documents.items() if self._takes(name)}
        kept: dict[int, int] = {}
        with self._database.guarded():
            for number, sequence, size in self._database.connection.execute(
                "SELECT document, sequence, length(bytes) FROM change"
                " WHERE sequence > ? AND peer NOT IN (?, '') ORDER BY sequence",
                (self._written, CLOUD),
            ):
                name = names.get(number)
                if name is None:
                    continue
                self._waiting.add(name, sequence, size)
                if self._log.is_replaced(name, sequence):
                    kept[sequence] = size
        if kept:
            self._log.keep(kept)

    def _release(self, document: str, rows: Iterable[Row]) -> None:
        """Rows wait no more; those that a snapshot replaced may go."""
        for sequence, size in rows:
            if self._log.is_replaced(document, sequence):
                self._log.discard(sequence, size)
