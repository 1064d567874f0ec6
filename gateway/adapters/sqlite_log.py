"""What the process keeps in memory about the rows of its database.

There is no index by document on the disk: each commit would write a page of it for every
document it touches. All of this is changed only after the transaction it tells of.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gateway.adapters import sqlite_file
from gateway.adapters.sqlite_database import Database

# What a change costs beside its update: keys, checksum, peer.
ROW_BYTES = 64
UNKNOWN = -1  # the number of no document


def collection(document: str) -> str:
    """The collection of a document."""
    return document.partition("/")[0]


def _no_numbers() -> "array[int]":
    return array("q")


class Log:
    """Which rows there are; ``read`` first."""

    def __init__(self) -> None:
        # The last sequence number that was given.
        self.sequence = 0
        # The numbers of documents.
        self.documents: dict[str, int] = {}
        # The sequence numbers of each document's changes, by the document's number.
        self.changes: defaultdict[int, array[int]] = defaultdict(_no_numbers)
        # Those of changes that a snapshot replaced, that are there still and that nobody needs;
        # their bytes.
        self.replaced = array("q")
        self.replaced_bytes = 0
        # Bytes by collection.
        self.usage = Counter[str]()
        self._names: defaultdict[str, list[str]] = defaultdict(list)

    def read(self, database: Database) -> None:
        """Find out what is there; after that it is kept up to date by the others."""
        self.learn(dict(database.rows("SELECT name, id FROM document")))
        # What was acknowledged may have been forgotten since; its numbers are not given again.
        mark = database.one("SELECT ifnull(max(mark), 0) FROM outbox")
        self.sequence = max(database.one(sqlite_file.LAST_SEQUENCE), mark)
        snapshots = database.rows("SELECT document, sequence, length(bytes) FROM snapshot")
        starts = {number: sequence for number, sequence, _ in snapshots}
        sizes = Counter[int]({number: size for number, _, size in snapshots})
        for number, sequence, size in database.connection.execute(
            "SELECT document, sequence, length(bytes) FROM change ORDER BY sequence"
        ):
            if sequence < starts.get(number, 0):
                self.discard(sequence, size)
            else:
                self.changes[number].append(sequence)
                sizes[number] += size
        collections = {number: collection(name) for name, number in self.documents.items()}
        for number, size in sizes.items():
            self.usage[collections[number]] += size

    def names(self, collection: str) -> Iterable[str]:
        """The documents of a collection, or of all ("")."""
        return self._names.get(collection, ()) if collection else self.documents

    def learn(self, made: Mapping[str, int]) -> None:
        """There are new documents."""
        self.documents.update(made)
        for name in made:
            self._names[collection(name)].append(name)

    def forget(self, documents: Iterable[str], freed: Mapping[str, int]) -> None:
        """These are gone; ``freed``: bytes by collection."""
        for name in documents:
            self.changes.pop(self.documents.pop(name), None)
            self._names[collection(name)].remove(name)
        self.usage.subtract(freed)

    def is_replaced(self, document: str, sequence: int) -> bool:
        """Whether a snapshot replaced a change that is there still."""
        changes = self.changes.get(self.documents[document])
        return not changes or sequence < changes[0]

    def discard(self, sequence: int, size: int) -> None:
        """A change that a snapshot replaced is needed by nobody."""
        self.replaced.append(sequence)
        self.replaced_bytes += size + ROW_BYTES

    def keep(self, sizes: Mapping[int, int]) -> None:
        """Some of what was replaced is needed."""
        found = [sequence for sequence in self.replaced if sequence in sizes]
        self.replaced = array("q", (s for s in self.replaced if s not in sizes))
        self.replaced_bytes -= sum(sizes[sequence] + ROW_BYTES for sequence in found)

    def merge(self, document: str, rows: Sequence[tuple[int, int]], size: int) -> None:
        """The last of some rows (sequence number, bytes) has ``size`` bytes now and stands for
        all of them."""
        content = [row for row in rows if not self.is_replaced(document, row[0])]
        if not content:
            return
        gone = {sequence for sequence, _ in content[:-1]}
        number = self.documents[document]
        self.changes[number] = array("q", (s for s in self.changes[number] if s not in gone))
        self.usage[collection(document)] += size - sum(bytes_ for _, bytes_ in content)
