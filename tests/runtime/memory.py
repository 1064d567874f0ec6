"""A store and a note in memory, and a link to nobody, for tests of the runtime."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.core.records import Change, Refusal, StoredDocument, StoredRow, StoreStatus


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
