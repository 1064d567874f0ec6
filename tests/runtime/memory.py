"""A store and a note in memory, and a link to nobody, for tests of the runtime."""

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.core.records import (
    CLOUD,
    Change,
    OutboxStatus,
    Refusal,
    StoredDocument,
    StoredRow,
    StoreStatus,
    Waiting,
)


class MemoryStore:
    """Satisfies ``Store``; waits for its gate, and fails when told."""

    def __init__(self) -> None:
        self.rows: list[Change | Refusal] = []
        self.commits = 0
        self.failures: list[GatewayError] = []
        self.gate = threading.Event()
        self.gate.set()

    def append(self, records: Sequence[Change | Refusal]) -> None:
        self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.rows += records
        self.commits += 1

    def load(self, document: str) -> StoredDocument:
        rows = [r.update for r in self.rows if r.document == document]
        return StoredDocument(b"", tuple(rows))

    def history(self, document: str) -> Sequence[StoredRow]:
        return [
            StoredRow(number, row.peer, len(row.update))
            for number, row in enumerate(self.rows, 1)
            if row.document == document
        ]

    def compact(self, document: str, snapshot: bytes, keep: Sequence[bytes]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.rows = [r for r in self.rows if r.document != document]
        self.rows += [Change(document, update, "") for update in (snapshot, *keep)]

    def names(self, collection: str = "") -> Sequence[str]:
        prefix = f"{collection}/" if collection else ""
        return sorted({row.document for row in self.rows if row.document.startswith(prefix)})

    def held(self) -> Sequence[tuple[str, int]]:
        last = {row.document: number for number, row in enumerate(self.rows)}
        return [
            (name, sum(len(row.update) for row in self.rows if row.document == name))
            for name in sorted(last, key=last.__getitem__)
        ]

    def forget(self, documents: Sequence[str]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.rows = [row for row in self.rows if row.document not in documents]

    def quarantined(self) -> frozenset[bytes]:
        return frozenset()

    def status(self) -> StoreStatus:
        return StoreStatus(0, len(self.rows), 0, 0, 0, len(self.rows), {}, "")

    def backup(self, target: Path) -> None:
        raise GatewayError("store-full", "full")

    def close(self) -> None:
        self.gate.set()


class MemoryOutbox(MemoryStore):
    """Satisfies ``RelayingStore``."""

    def __init__(self) -> None:
        super().__init__()
        self.done: dict[str, int] = {}
        self.merged: dict[str, tuple[int, bytes]] = {}
        self.left_at: int | None = None
        self.collections: Sequence[str] | None = None
        self.loads: list[str] = []
        self.reads: list[str] = []
        self.noted = 0
        # Rows that are told at once.
        self.most_read = sys.maxsize

    def relay(self, collections: Sequence[str] | None) -> None:
        self.collections = collections

    def load(self, document: str) -> StoredDocument:
        self.loads.append(document)
        return super().load(document)

    def waiting(self, most: int) -> Sequence[str]:
        names = [row.document for row in self.rows if self._waits(row.document)]
        return list(dict.fromkeys(names))[:most]

    def read(self, document: str, after: int = 0) -> Waiting:
        self.reads.append(document)
        rows = [row for row in self._waits(document) if row[0] > after]
        some = rows[: self.most_read]
        last = some[-1][0] if some else 0
        return Waiting(last, tuple(update for _, update in some), len(rows) > len(some))

    def note_waited(self, seconds: int) -> None:
        self.noted = seconds

    def sent(self, document: str, last: int) -> None:
        self.done[document] = max(last, self.done.get(document, 0))

    def merge(self, document: str, last: int, update: bytes) -> None:
        self.merged[document] = last, update

    def leave(self) -> None:
        self.left_at = len(self.rows)
        self.done = {row.document: len(self.rows) for row in self.rows}

    def resume(self) -> None:
        self.done.update({row.document: len(self.rows) for row in self.rows})
        self.left_at = None

    def outbox_status(self) -> OutboxStatus:
        waiting = {row.document: self._waits(row.document) for row in self.rows}
        size = sum(len(update) for rows in waiting.values() for _, update in rows)
        documents = sum(map(bool, waiting.values()))
        return OutboxStatus(documents, size, self.left_at is not None, self.noted)

    def _waits(self, document: str) -> list[tuple[int, bytes]]:
        is_relayed = self.collections is None or document.partition("/")[0] in self.collections
        if self.left_at is not None or not is_relayed:
            return []
        place, update = self.merged.get(document, (0, b""))
        rows = [
            (number, row.update)
            for number, row in enumerate(self.rows, 1)
            if row.document == document and row.peer != CLOUD and number > place
        ]
        rows = [(place, update), *rows] if place else rows
        return [row for row in rows if row[0] > self.done.get(document, 0)]


class MemoryNote:
    """Satisfies ``Note``."""

    def __init__(self) -> None:
        self.applying: list[tuple[str, str, bytes]] = []

    def before(self, applying: Sequence[tuple[str, str, bytes]]) -> None:
        self.applying = list(applying)

    def after(self) -> None:
        self.applying = []


class NoLink:
    """Satisfies ``Link``; what is sent goes nowhere."""

    address = "nowhere"
    local = ""
    congested = False

    def round_trip_ms(self) -> float | None:
        return None

    async def recv(self) -> list[bytes]:
        return []

    def send(self, data: bytes) -> None:
        pass

    async def writable(self) -> None:
        pass

    def on_writable(self, callback: Callable[[], None]) -> None:
        pass

    def close(self, code: int, reason: str) -> None:
        pass
