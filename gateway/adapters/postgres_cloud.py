"""A hub's database on a PostgreSQL server, for any number of workers.

A verb is one round trip or two, however much it brings. A transaction locks the documents it
changes in the order of their names, then figures of their spaces: workers that change the same
documents wait for each other's commit and nothing else, and never for each other in a circle.

A place of the feed is "p", a transaction and a document. Only what transactions did that are older
than all that run is told; whatever commits later is behind it.
https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-PG-SNAPSHOT
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Self

from gateway.adapters import postgres_statements as sql
from gateway.adapters.postgres_errors import EX_USAGE
from gateway.adapters.postgres_link import PostgresLink, Statement
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
TRIM_LOCK: Final = 0x53744749  # "StGI", beside the lock of migrations
_PLACE: Final = re.compile(r"p(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})")


class PostgresCloud:
    """A database of a PostgreSQL server. Satisfies ``CloudStore``; made by ``open``."""

    def __init__(self, url: str) -> None:
        self._link = PostgresLink(url)

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect to ``postgresql://user@host/database``, or what libpq takes; make tables.

        Raises ``GatewayError``: ``hub-database-unreachable``, ``-denied``, ``-missing``,
        ``-address``, ``-old``, ``-newer``, ``-encoding``, ``-read-only``, ``-full``.
        """
        store = cls(url)
        store._link.connect()
        return store

    def append(self, changes: Sequence[CloudChange], refusals: Sequence[CloudRefusal] = ()) -> None:
        """See ``CloudStore``."""
        statements: list[Statement] = []
        if changes:
            columns = [list(column) for column in zip(*map(_columns, changes), strict=True)]
            statements += [_new_spaces(columns[0]), (sql.APPEND, columns)]
        if refusals:
            statements += _refusals(refusals)
            statements.append((sql.TRIM, (TRIM_LOCK, MAX_REFUSALS, MAX_REFUSED_BYTES)))
        self._link.together(*statements, notify=bool(changes))

    def load(self, space: str, document: str) -> StoredDocument:
        """See ``CloudStore``."""
        rows = self._link.rows(sql.LOAD, space, document)
        first = rows[0][1] if rows and rows[0][0] else b""
        return StoredDocument(first, tuple(raw for is_snapshot, raw in rows if not is_snapshot))

    def version(self, space: str, document: str) -> int:
        """See ``CloudStore``."""
        rows = self._link.rows(
            f"SELECT version FROM document d WHERE {sql.OF_SPACE} AND name = %s", space, document
        )
        return int(rows[0][0]) if rows else 0

    def compact(self, space: str, document: str, version: int, snapshot: bytes) -> bool:
        """See ``CloudStore``."""
        values = {"space": space, "name": document, "version": version, "bytes": snapshot}
        return self._link.together((sql.LOCK, (space, document)), (sql.COMPACT, values))[1] == 1

    def held(self, space: str, collections: Sequence[str] | None = None) -> Sequence[Held]:
        """See ``CloudStore``."""
        if collections is None:
            return self._held(space, "ORDER BY name")
        rows = self._link.rows(sql.HELD_OF, sorted(set(collections)), space)
        return [Held(space, *row) for row in rows]

    def settle(self, space: str, document: str, version: int, fingerprint: bytes) -> None:
        """See ``CloudStore``."""
        self._link.together((sql.SOON, ()), (sql.SETTLE, (fingerprint, space, document, version)))

    def page(self, space: str, collection: str, after: str, most: int) -> Sequence[Held]:
        """See ``CloudStore``."""
        start = f"{collection}/" if collection else ""
        query = f"AND name > %s ORDER BY name LIMIT {int(most)}"
        rows = self._held(space, query, max(after, start))
        # With an end in the statement the planner would expect less than a page, and read all.
        return [held for held in rows if held.document.startswith(start)]

    def changed(self, space: str, after: str, most: int) -> tuple[Sequence[Held], str]:
        """See ``CloudStore``."""
        transaction, document = self._place(after)
        of_space = sql.OF_SPACE if space else "%s = ''"
        rows = self._link.rows(
            f"SELECT changed, id, {sql.SPACE_NAME}, {sql.HELD} FROM document d WHERE {of_space}"
            " AND (changed, id) > (%s::bigint, %s::bigint)"
            f" AND changed < (SELECT {sql.HORIZON} FROM meta)"
            f" ORDER BY changed, id LIMIT {int(most)}",
            space, transaction, document,
        )  # fmt: skip
        if rows:
            transaction, document = rows[-1][:2]
        return [Held(*row[2:]) for row in rows], f"p{transaction}.{document}"

    def wait_for_changes(self, seconds: float) -> bool:
        """See ``CloudStore``."""
        return self._link.wait(seconds)

    def greet(self, heard: Sequence[Greeting]) -> None:
        """See ``CloudStore``."""
        # In one order: so no workers wait for each other in a circle.
        statements = [
            (sql.GREET, _greeting(one)) for one in sorted(heard, key=lambda of: (of.store, of.peer))
        ]
        self._link.together(_new_spaces(one.store for one in heard), *statements)

    def gateways(self, stores: Sequence[str]) -> Sequence[CloudGateway]:
        """See ``CloudStore``."""
        return self._gateways("WHERE name = ANY (%s)", list(stores))

    def wanting(self, stores: Sequence[str] | None, collection: str) -> Sequence[CloudGateway]:
        """See ``CloudStore``."""
        if stores is None:
            return self._gateways("WHERE %s = ANY (wants)", collection)
        return self._gateways(
            "WHERE %s = ANY (wants) AND name = ANY (%s)", collection, list(stores)
        )

    def revoke(self, store: str, entries: Sequence[bytes], replaced: Sequence[bytes] = ()) -> None:
        """See ``CloudStore``."""
        digests, gone = [[*map(_digest, some)] for some in (entries, replaced)]
        self._link.together(
            _new_spaces([store]),
            (sql.REVOKE, (digests, list(entries), store)),
            (sql.REPLACE, (gone, store)),
        )

    def revocations(self, stores: Sequence[str]) -> Sequence[tuple[str, bytes]]:
        """See ``CloudStore``."""
        rows = self._link.rows(
            "SELECT name, bytes FROM revocation r JOIN space s ON s.id = r.space"
            " WHERE name = ANY (%s)",
            list(stores),
        )
        return [(store, raw) for store, raw in rows]

    def spaces(self, after: str, most: int) -> Sequence[CloudSpace]:
        """See ``CloudStore``."""
        rows = self._link.rows(
            f"SELECT name, {sql.FIGURES} FROM"
            f" (SELECT id, name FROM space WHERE name > %s ORDER BY name LIMIT {int(most)}) AS s"
            " LEFT JOIN figure f ON f.space = id GROUP BY name ORDER BY name",
            after,
        )
        return [CloudSpace(name, *(figure or 0 for figure in rest)) for name, *rest in rows]

    def sizes(self, spaces: Sequence[str]) -> Mapping[str, int]:
        """See ``CloudStore``."""
        rows = self._link.rows(
            "SELECT name, sum(size)::bigint FROM space s JOIN figure f ON f.space = s.id"
            " WHERE name = ANY (%s) GROUP BY name HAVING sum(size) > 0",
            list(spaces),
        )
        return dict(rows)

    def totals(self) -> Mapping[str, int]:
        """See ``CloudStore``. Exact: sums over the spaces' figures, never over documents."""
        row = self._link.rows(
            f"SELECT (SELECT count(*) FROM space), {sql.FIGURES}, (SELECT count(*) FROM refusal)"
            " FROM figure f"
        )[0]
        names = ("spaces", "documents", "bytes", "gateways", "refusals")
        return {name: figure or 0 for name, figure in zip(names, row, strict=True)}

    def close(self) -> None:
        """See ``CloudStore``."""
        self._link.close()

    def _held(self, space: str, rest: str, *values: object) -> list[Held]:
        query = f"SELECT {sql.HELD} FROM document d WHERE {sql.OF_SPACE} {rest}"
        return [Held(space, *row) for row in self._link.rows(query, space, *values)]

    def _gateways(self, rest: str, *values: object) -> list[CloudGateway]:
        rows = self._link.rows(f"{sql.GATEWAYS} {rest} ORDER BY name, peer", *values)
        return [CloudGateway(*row) for row in rows]

    def _place(self, place: str) -> tuple[int, int]:
        """The numbers of a place of the feed. Raises ``GatewayError`` ``hub-bad-place``."""
        ((now, last),) = self._link.rows(f"SELECT {sql.HORIZON}, {sql.END} FROM meta")
        if place == "now":
            return now, 0
        found = _PLACE.fullmatch(place or "p0.0")
        if found is None or int(found[1]) > last:
            raise GatewayError(
                "hub-bad-place", "this is no place of this database's feed; begin again", EX_USAGE
            )
        return int(found[1]), int(found[2])


def _columns(change: CloudChange) -> tuple[str, str, str, bytes]:
    return change.space, change.document, change.peer, change.update


def _greeting(heard: Greeting) -> tuple[str, list[str] | None, str, list[str] | None]:
    listed = None if heard.wants is None else list(heard.wants)
    return heard.peer, listed, heard.store, listed


def _new_spaces(names: Iterable[Any]) -> Statement:
    listed = sorted(set(names))
    return sql.SPACES, (listed, listed)


def _refusals(refusals: Sequence[CloudRefusal]) -> list[Statement]:
    """In the order of their digests: so no workers wait for each other in a circle."""
    rows = sorted(map(_row, refusals), key=lambda row: row[0])
    return [(sql.REFUSE, row) for row in rows]


def _row(refusal: CloudRefusal) -> tuple[bytes, str, str, str, int, str, bytes]:
    space, document, peer = map(_plain, (refusal.space, refusal.document, refusal.peer))
    known = f"{space}\0{document}\0{peer}\0".encode() + refusal.update
    digest = blake2b(known, digest_size=16).digest()
    reason = _plain(refusal.reason)
    return digest, space, document, peer, refusal.code, reason, refusal.update


def _plain(text: str) -> str:
    """Text as every database takes it: PostgreSQL none with NUL, neither one with surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _digest(entry: bytes) -> bytes:
    return blake2b(entry, digest_size=16).digest()
