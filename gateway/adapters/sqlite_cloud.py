"""A hub's database in one file, for one or a few processes of one machine.

WAL with ``synchronous=FULL``: what ``append`` returned from survives a power cut. Fingerprints
alone do not wait for the disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
A place of the feed is "s" and the number of a document's last change.
"""

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

from gateway.adapters.sqlite_cloud_file import connect, hub_errors
from gateway.core.cloud_records import (
    CloudChange,
    CloudGateway,
    CloudRefusal,
    CloudSpace,
    Greeting,
    Held,
)
from gateway.core.errors import GatewayError
from gateway.core.records import StoredDocument

# Refusals are for inspection, not an archive; the oldest go first. Of all spaces together.
MAX_REFUSALS = 1_000
MAX_REFUSED_BYTES = 8_388_608
# How often other processes' changes are looked for, a read of a few bytes of shared memory.
POLL_SECONDS = 0.05
PASSING: Final = ("hub-database-unreachable", "hub-database-full")
EX_SOFTWARE, EX_USAGE = 70, 64
_PLACE: Final = re.compile(r"s(0|[1-9][0-9]{0,17})")

_TOUCH = """
INSERT INTO document (space, name, version, size, changed)
VALUES (?1, ?2, 1, ?3, (SELECT ifnull(max(changed), 0) + 1 FROM document))
ON CONFLICT (space, name) DO UPDATE SET version = version + 1, size = size + excluded.size,
    fingerprint = x'', changed = excluded.changed
RETURNING id, version
"""
_LOAD = """
SELECT change.version = document.snapshot, change.bytes
FROM space JOIN document ON document.space = space.id
JOIN change ON change.document = document.id
WHERE space.name = ? AND document.name = ? ORDER BY change.version
"""
_COLUMNS = "space.name, document.name, version, fingerprint, document.size, version - snapshot"
_HELD = f"SELECT {_COLUMNS} FROM space JOIN document ON document.space = space.id "
# CROSS: the collections are gone through, not all documents.
_HELD_OF = f"""
SELECT {_COLUMNS} FROM json_each(?2) AS of CROSS JOIN space CROSS JOIN document
ON document.space = space.id
"""
# The names of a collection, by the index of names: "0" follows "/".
_OF_COLLECTION = "document.name >= {0} || '/' AND document.name < {0} || '0'"
_LISTED = "SELECT value FROM json_each(?)"
_GREET = """
INSERT INTO gateway VALUES (?1, ?2, ifnull(?3, '[]'), unixepoch())
ON CONFLICT (space, peer) DO UPDATE SET wants = ifnull(?3, wants), seen = excluded.seen
"""
_TRIM = """
DELETE FROM refusal WHERE id <= (
    SELECT max(id) FROM (
        SELECT id, row_number() OVER newest AS place, sum(length(bytes)) OVER newest AS size
        FROM refusal WINDOW newest AS (ORDER BY id DESC)
    ) WHERE place > ? OR size > ?
)
"""


class SqliteCloud:
    """A folder with one database. Satisfies ``CloudStore``; made by ``open``."""

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self._folder = folder
        self._database = database
        self._failure: GatewayError | None = None
        self._seen = -1

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the database in ``folder``, made if missing.

        Raises ``GatewayError``: ``hub-database-newer``, ``-foreign``, ``-folder``, ``-read-only``,
        ``-damaged``, ``-full``, ``-unreachable``, ``-failed``.
        """
        return cls(folder, connect(folder))

    def append(self, changes: Sequence[CloudChange], refusals: Sequence[CloudRefusal] = ()) -> None:
        """See ``CloudStore``."""
        with self._transaction():
            for change in changes:
                self._append(change)
            for refusal in refusals:
                self._refuse(refusal)
            if refusals:
                self._rows(_TRIM, MAX_REFUSALS, MAX_REFUSED_BYTES)

    def load(self, space: str, document: str) -> StoredDocument:
        """See ``CloudStore``."""
        with self._guarded():
            rows = self._rows(_LOAD, space, document)
        first = rows[0][1] if rows and rows[0][0] else b""
        return StoredDocument(first, tuple(raw for is_snapshot, raw in rows if not is_snapshot))

    def version(self, space: str, document: str) -> int:
        """See ``CloudStore``."""
        rows = self._held("WHERE space.name = ? AND document.name = ?", space, document)
        return rows[0].version if rows else 0

    def compact(self, space: str, document: str, version: int, snapshot: bytes) -> bool:
        """See ``CloudStore``."""
        with self._transaction():
            found = self._rows(
                "SELECT document.id, space.id, document.size FROM space"
                " JOIN document ON document.space = space.id WHERE space.name = ?"
                " AND document.name = ? AND snapshot < ?3 AND version >= ?3",
                space, document, version,
            )  # fmt: skip
            for number, number_of_space, size in found:
                self._replace(number, number_of_space, size, version, snapshot)
            return bool(found)

    def _replace(self, number: int, space: int, size: int, version: int, snapshot: bytes) -> None:
        self._rows("DELETE FROM change WHERE document = ? AND version < ?", number, version)
        self._rows(
            "UPDATE change SET peer = '', bytes = ?3 WHERE document = ?1 AND version = ?2",
            number, version, snapshot,
        )  # fmt: skip
        self._rows(
            "UPDATE document SET snapshot = ?2, size = (SELECT sum(length(bytes)) FROM change"
            " WHERE document = ?1) WHERE id = ?1",
            number, version,
        )  # fmt: skip
        self._rows(
            "UPDATE space SET size = size - ?3 + (SELECT size FROM document WHERE id = ?2)"
            " WHERE id = ?1",
            space, number, size,
        )  # fmt: skip

    def held(self, space: str, collections: Sequence[str] | None = None) -> Sequence[Held]:
        """See ``CloudStore``."""
        if collections is None:
            return self._held("WHERE space.name = ? ORDER BY document.name", space)
        listed = json.dumps(sorted(set(collections)))
        with self._guarded():
            rows = self._rows(
                f"{_HELD_OF} WHERE space.name = ?1 AND {_OF_COLLECTION.format('of.value')}"
                " ORDER BY document.name",
                space, listed,
            )  # fmt: skip
        return [Held(*row) for row in rows]

    def settle(self, space: str, document: str, version: int, fingerprint: bytes) -> None:
        """See ``CloudStore``."""
        with self._soon(), self._transaction():
            self._rows(
                "UPDATE document SET fingerprint = ?4 WHERE name = ?2 AND version = ?3"
                " AND space = (SELECT id FROM space WHERE name = ?1)",
                space, document, version, fingerprint,
            )  # fmt: skip

    def page(self, space: str, collection: str, after: str, most: int) -> Sequence[Held]:
        """See ``CloudStore``."""
        within = f"AND {_OF_COLLECTION.format('?4')}" if collection else "AND ?4 = ''"
        return self._held(
            f"WHERE space.name = ?1 AND document.name > ?2 {within}"
            " ORDER BY document.name LIMIT ?3",
            space, after, most, collection,
        )  # fmt: skip

    def changed(self, space: str, after: str, most: int) -> tuple[Sequence[Held], str]:
        """See ``CloudStore``."""
        with self._guarded():
            last: int = self._one("SELECT ifnull(max(changed), 0) FROM document")
        place = last if after == "now" else _number(after, last)
        of_space = "space.name = ?1" if space else "?1 = ''"
        with self._guarded():
            rows = self._rows(
                f"SELECT changed, {_COLUMNS} FROM space JOIN document ON document.space = space.id"
                f" WHERE {of_space} AND changed > ?2 ORDER BY changed LIMIT ?3",
                space, place, most,
            )  # fmt: skip
        return [Held(*row[1:]) for row in rows], f"s{rows[-1][0] if rows else place}"

    def wait_for_changes(self, seconds: float) -> bool:
        """See ``CloudStore``."""
        deadline = time.monotonic() + seconds
        while True:
            with self._guarded():
                seen: int = self._one("PRAGMA data_version")
            if seen != self._seen:
                self._seen = seen
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_SECONDS, left))

    def greet(self, heard: Sequence[Greeting]) -> None:
        """See ``CloudStore``."""
        with self._transaction():
            for one in heard:
                self._greet(one)

    def _greet(self, heard: Greeting) -> None:
        number = self._space(heard.store)
        listed = None if heard.wants is None else json.dumps(list(heard.wants))
        self._rows(_GREET, number, heard.peer, listed)
        self._rows(
            "UPDATE space SET gateways = (SELECT count(*) FROM gateway WHERE space = ?1)"
            " WHERE id = ?1",
            number,
        )

    def gateways(self, stores: Sequence[str]) -> Sequence[CloudGateway]:
        """See ``CloudStore``."""
        return self._gateways(f"WHERE name IN ({_LISTED})", json.dumps(list(stores)))

    def wanting(self, stores: Sequence[str] | None, collection: str) -> Sequence[CloudGateway]:
        """See ``CloudStore``."""
        listed = None if stores is None else json.dumps(list(stores))
        return self._gateways(
            "WHERE ?1 IN (SELECT value FROM json_each(iif(json_valid(wants), wants, '[]')))"
            " AND (?2 IS NULL OR name IN (SELECT value FROM json_each(?2)))",
            collection, listed,
        )  # fmt: skip

    def revoke(self, store: str, entries: Sequence[bytes], replaced: Sequence[bytes] = ()) -> None:
        """See ``CloudStore``."""
        with self._transaction():
            number = self._space(store)
            for entry in entries:
                self._rows(
                    "INSERT INTO revocation (space, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    number, entry,
                )  # fmt: skip
            for entry in replaced:
                self._rows("DELETE FROM revocation WHERE space = ? AND bytes = ?", number, entry)

    def revocations(self, stores: Sequence[str]) -> Sequence[tuple[str, bytes]]:
        """See ``CloudStore``."""
        with self._guarded():
            rows = self._rows(
                "SELECT name, bytes FROM revocation JOIN space ON space.id = space"
                f" WHERE name IN ({_LISTED})",
                json.dumps(list(stores)),
            )
        return [(store, raw) for store, raw in rows]

    def spaces(self, after: str, most: int) -> Sequence[CloudSpace]:
        """See ``CloudStore``."""
        with self._guarded():
            rows = self._rows(
                "SELECT name, documents, size, gateways FROM space WHERE name > ?"
                " ORDER BY name LIMIT ?",
                after, most,
            )  # fmt: skip
        return [CloudSpace(*row) for row in rows]

    def sizes(self, spaces: Sequence[str]) -> Mapping[str, int]:
        """See ``CloudStore``."""
        with self._guarded():
            query = f"SELECT name, size FROM space WHERE name IN ({_LISTED}) AND size > 0"
            return dict(self._rows(query, json.dumps(list(spaces))))

    def totals(self) -> Mapping[str, int]:
        """See ``CloudStore``. Exact: sums over the spaces, never over their documents."""
        with self._guarded():
            row = self._rows(
                "SELECT count(*), total(documents), total(size), total(gateways),"
                " (SELECT count(*) FROM refusal) FROM space"
            )[0]
        names = ("spaces", "documents", "bytes", "gateways", "refusals")
        return {name: int(figure) for name, figure in zip(names, row, strict=True)}

    def close(self) -> None:
        """See ``CloudStore``."""
        self._failure = GatewayError("hub-database-closed", "the database is closed", EX_SOFTWARE)
        with hub_errors(self._folder):
            self._database.close()

    def _append(self, change: CloudChange) -> None:
        space, size = self._space(change.space), len(change.update)
        number, version = self._rows(_TOUCH, space, change.document, size)[0]
        self._rows(
            "INSERT INTO change VALUES (?, ?, ?, ?)", number, version, change.peer, change.update
        )
        self._rows(
            "UPDATE space SET documents = documents + ?, size = size + ? WHERE id = ?",
            int(version == 1), size, space,
        )  # fmt: skip

    def _refuse(self, refusal: CloudRefusal) -> None:
        # What is not text for SQLite came from a peer that is not let through with it either.
        place = [_plain(text) for text in (refusal.space, refusal.document, refusal.peer)]
        digest = blake2b("\0".join(place).encode() + refusal.update, digest_size=16).digest()
        self._rows(
            "INSERT OR IGNORE INTO refusal (digest, space, document, peer, code, reason, bytes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            digest, *place, refusal.code, _plain(refusal.reason), refusal.update,
        )  # fmt: skip

    def _space(self, name: str) -> int:
        """The number of a space, made if it is new."""
        found = self._rows("SELECT id FROM space WHERE name = ?", name) or self._rows(
            "INSERT INTO space (name) VALUES (?) RETURNING id", name
        )
        number: int = found[0][0]
        return number

    def _held(self, rest: str, *values: object) -> list[Held]:
        with self._guarded():
            return [Held(*row) for row in self._rows(_HELD + rest, *values)]

    def _gateways(self, rest: str, *values: object) -> list[CloudGateway]:
        query = "SELECT name, peer, wants, seen FROM gateway JOIN space ON space.id = space "
        with self._guarded():
            rows = self._rows(f"{query}{rest} ORDER BY name, peer", *values)
        return [
            CloudGateway(store, peer, _listed(wants), seen) for store, peer, wants, seen in rows
        ]

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Translate errors; after one that does not pass nothing is done any more.

        After a failed fsync the next may seem to succeed although nothing was written.
        """
        if self._failure is not None:
            raise self._failure
        try:
            with hub_errors(self._folder):
                yield
        except GatewayError as error:
            if error.code not in PASSING:
                self._failure = error
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guarded():
            self._rows("BEGIN IMMEDIATE")
            try:
                yield
                self._rows("COMMIT")
            except BaseException:
                # SQLite rolls back by itself after some errors.
                if self._database.in_transaction:
                    self._rows("ROLLBACK")
                raise

    @contextmanager
    def _soon(self) -> Iterator[None]:
        """A transaction inside is on the disk with the next that waits for the disk.

        Only for what can be found out once more.
        """
        with self._guarded():
            self._rows("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            with self._guarded():
                self._rows("PRAGMA synchronous = FULL")

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._database.execute(query, values).fetchall()

    def _one(self, query: str) -> Any:
        return self._rows(query)[0][0]


def _number(place: str, last: int) -> int:
    """The number of a place of the feed. Raises ``GatewayError`` ``hub-bad-place``."""
    found = _PLACE.fullmatch(place or "s0")
    if found is None or int(found[1]) > last:
        raise GatewayError(
            "hub-bad-place", "this is no place of this database's feed; begin again", EX_USAGE
        )
    return int(found[1])


def _listed(wants: str) -> Sequence[str]:
    """The collections in a row; of one that is damaged none, until its gateway says them again."""
    try:
        found = json.loads(wants)
    except ValueError:
        return ()
    return [str(one) for one in found] if isinstance(found, list) else ()


def _plain(text: str) -> str:
    """Text as every database takes it."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
