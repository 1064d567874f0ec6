"""The store's only user: one thread that commits in groups and answers by the door.

Jobs run in the order they were given, so a document that is read after it was
changed shows the change, and a receipt stands for all that came before it.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.errors import GatewayError
from gateway.core.events import Compact, Persist, Receipt
from gateway.core.records import Change, Refusal, StoredDocument
from gateway.ports import Store
from gateway.runtime.threads import Door

# Under load a commit waits this long for company, or until this many records came.
GROUP_SECONDS = 0.1
GROUP_RECORDS = 50
# One transaction never grows beyond this many records.
MOST_RECORDS = 5_000
# A full disk is tried again this often.
RETRY_SECONDS = 2.0
_PASSING = frozenset({"store-full"})


@dataclass(slots=True)
class _Read:
    document: str
    answer: asyncio.Future[StoredDocument]


@dataclass(slots=True)
class _Call:
    function: Callable[[], object]
    answer: asyncio.Future[object]


_Job = Persist | Compact | _Read | _Call | None


class Writer:
    """Owns the store thread.

    Called in the loop: ``on_stored(receipts, records, bytes)`` after each commit,
    ``on_trouble(sentence)`` when the disk takes nothing for now ("" when it does again),
    ``on_failed(error)`` when the store is lost; nothing is written after that.
    """

    def __init__(
        self,
        store: Store,
        door: Door,
        on_stored: Callable[[Sequence[Receipt], int, int], None],
        on_trouble: Callable[[str], None],
        on_failed: Callable[[GatewayError], None],
    ) -> None:
        self._store = store
        self._door = door
        self._on_stored = on_stored
        self._on_trouble = on_trouble
        self._on_failed = on_failed
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store")
        self._last_commit = 0.0
        self.commits = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, job: Persist | Compact) -> None:
        """Write, in order; the receipts come back by ``on_stored``."""
        self._jobs.put(job)

    async def load(self, document: str) -> StoredDocument:
        """What the store holds of a document, all submitted before included."""
        answer: asyncio.Future[StoredDocument] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Read(document, answer))
        return await answer

    async def call(self, function: Callable[[], object]) -> object:
        """Run ``function`` in the store's thread, after all submitted before."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Call(function, answer))
        return await answer

    def close(self) -> None:
        """Write what was submitted and end the thread; a full disk is not waited for."""
        self._closing.set()
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            job = self._jobs.get()
            while job is not None:
                if isinstance(job, Persist):
                    job = self._group(job)
                else:
                    self._single(job)
                    job = self._jobs.get()
        except GatewayError as error:
            self._door.call(self._on_failed, error)

    def _group(self, first: Persist) -> _Job:
        """Commit ``first`` with those that follow in time; returns the job after them."""
        records = list(first.records)
        receipts = list(first.receipts)
        due = self._last_commit + GROUP_SECONDS
        while len(records) < MOST_RECORDS:
            hurry = len(records) >= GROUP_RECORDS or not records or self._closing.is_set()
            wait = 0.0 if hurry else max(0.0, due - time.monotonic())
            try:
                job = self._jobs.get(timeout=wait)
            except queue.Empty:
                self._commit(records, receipts)
                return self._jobs.get()
            if not isinstance(job, Persist):
                self._commit(records, receipts)
                return job
            records += job.records
            receipts += job.receipts
        self._commit(records, receipts)
        return self._jobs.get()

    def _commit(self, records: list[Change | Refusal], receipts: list[Receipt]) -> None:
        if records:
            self._append(records)
            self._last_commit = time.monotonic()
            self.commits += 1
        size = sum(len(record.update) for record in records)
        self._door.call(self._on_stored, receipts, len(records), size)

    def _append(self, records: list[Change | Refusal]) -> None:
        """Append, and when the disk is full say so and try again until there is room."""
        troubled = False
        while True:
            try:
                self._store.append(records)
            except GatewayError as error:
                if error.code not in _PASSING or self._closing.is_set():
                    raise
                troubled = True
                self._door.call(self._on_trouble, error.sentence)
                self._closing.wait(RETRY_SECONDS)
            else:
                if troubled:
                    self._door.call(self._on_trouble, "")
                return

    def _single(self, job: Compact | _Read | _Call) -> None:
        try:
            match job:
                case Compact():
                    self._store.compact(job.document, job.snapshot, job.keep)
                case _Read():
                    self._door.call(_resolve, job.answer, self._store.load(job.document), None)
                case _Call():
                    self._door.call(_resolve, job.answer, job.function(), None)
        except GatewayError as error:
            if not isinstance(job, Compact):
                self._door.call(_resolve, job.answer, None, error)
            elif error.code not in _PASSING:
                raise


def _resolve(answer: asyncio.Future[object], result: object, error: GatewayError | None) -> None:
    if answer.cancelled():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
