"""The store's only user: one thread that commits in groups and answers by the door.

Jobs run in the order they were given, so a document that is read after it was
changed shows the change, and a receipt stands for all that came before it.
"""

import asyncio
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.errors import GatewayError
from gateway.core.events import Compact, Persist, Receipt
from gateway.core.grouping import grouped
from gateway.core.records import Change, Refusal, StoredDocument
from gateway.ports import Store
from gateway.runtime.threads import Door

# Under load a commit waits this long for company, or until this many records came. Each commit
# writes whole pages, so fewer of them wear a card less.
GROUP_SECONDS = 0.25
GROUP_RECORDS = 100
# One transaction never grows beyond this many records.
MOST_RECORDS = 5_000
# A full disk is tried again this often.
RETRY_SECONDS = 2.0
_PASSING = frozenset({"store-full"})

log = logging.getLogger("gateway")


@dataclass(slots=True)
class _Read:
    document: str
    answer: asyncio.Future[StoredDocument]


@dataclass(slots=True)
class _Call:
    function: Callable[[], object]
    answer: asyncio.Future[object]
    commits: bool


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
        self._records: list[Change | Refusal] = []
        self._receipts: list[Receipt] = []
        # What comes first waits for nobody, however soon after the machine's start.
        self._last_commit = -math.inf
        # When a full disk is tried again; 0 while it is not full.
        self._retry_at = 0.0
        # Why nothing is read or written any more.
        self._ended: GatewayError | None = None
        self.commits = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, job: Persist | Compact) -> None:
        """Write, in order; the receipts come back by ``on_stored``."""
        self._jobs.put(job)

    async def load(self, document: str) -> StoredDocument:
        """What the store holds of a document, all submitted before included.

        Raises ``GatewayError``, also when the store is lost.
        """
        answer: asyncio.Future[StoredDocument] = asyncio.get_running_loop().create_future()
        self._put(_Read(document, answer))
        return await answer

    async def call(self, function: Callable[[], object], *, commits: bool = True) -> object:
        """Run ``function`` in the store's thread, after all submitted before is on the disk.

        Without ``commits`` what waits for company goes on waiting, and is not on the disk.
        Raises what it raises as ``GatewayError``, and when the store is lost.
        """
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._put(_Call(function, answer, commits))
        return await answer

    def close(self) -> None:
        """Write what was submitted and end the thread; a full disk is not waited for."""
        self._closing.set()
        self._jobs.put(None)
        self._thread.join()

    def _put(self, job: "_Read | _Call") -> None:
        self._jobs.put(job)
        if self._ended is not None:
            # The thread may have emptied the queue before this came.
            _resolve(job.answer, None, self._ended)

    def _run(self) -> None:
        job: _Job = None
        try:
            while (job := self._next()) is not None:
                match job:
                    case Persist():
                        self._records += job.records
                        self._receipts += job.receipts
                        if len(self._records) >= MOST_RECORDS:
                            self._commit()
                    case _Read():
                        # It shows what waits too: a commit for each document that is
                        # opened would wear the disk.
                        self._single(job)
                    case _Call(commits=False):
                        self._single(job)
                    case _:
                        self._commit()
                        self._single(job)
            self._commit()
        except GatewayError as error:
            self._end(error, job)
        except Exception as error:
            # Nothing would be written any more, and nobody told.
            log.exception("the store thread failed")
            self._end(_internal(error), job)

    def _end(self, error: GatewayError, job: _Job) -> None:
        """Nothing is written any more: say so to everybody who waits, for ``job`` first."""
        self._ended = error
        self._door.call(self._on_failed, error)
        waiting = [job]
        while not self._jobs.empty():
            waiting.append(self._jobs.get())
        for job in waiting:
            if isinstance(job, _Read | _Call):
                self._door.call(_resolve, job.answer, None, error)

    def _next(self) -> _Job:
        """The next job; what waits is committed when its time has come."""
        while True:
            try:
                return self._jobs.get(timeout=self._patience())
            except queue.Empty:
                self._commit()

    def _patience(self) -> float | None:
        """How long the next job is waited for before a commit, in seconds; None for ever."""
        if not self._receipts and not self._records:
            return None
        if self._retry_at:
            due = self._retry_at
        elif not self._records or len(self._records) >= GROUP_RECORDS or self._closing.is_set():
            return 0.0
        else:
            due = self._last_commit + GROUP_SECONDS
        return max(0.0, due - time.monotonic())

    def _commit(self) -> None:
        """Write what waits, all at once; on a full disk it goes on waiting."""
        if self._retry_at > time.monotonic() and not self._closing.is_set():
            return
        if self._records and not self._append():
            return
        size = sum(len(record.update) for record in self._records)
        if self._receipts or self._records:
            self._door.call(self._on_stored, self._receipts, len(self._records), size)
        self._records, self._receipts = [], []

    def _append(self) -> bool:
        """Whether it was written; the store thread ends when it never can be."""
        try:
            self._store.append(grouped(self._records))
        except GatewayError as error:
            if error.code not in _PASSING or self._closing.is_set():
                raise
            if not self._retry_at:
                self._door.call(self._on_trouble, error.sentence)
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return False
        if self._retry_at:
            self._door.call(self._on_trouble, "")
        self._retry_at = 0.0
        self._last_commit = time.monotonic()
        self.commits += 1
        return True

    def _single(self, job: Compact | _Read | _Call) -> None:
        try:
            match job:
                case Compact():
                    # It saves room, but needs some first, and must not overtake what waits.
                    if not self._retry_at:
                        self._store.compact(job.document, job.snapshot, job.keep)
                case _Read():
                    stored = _with(self._store.load(job.document), job.document, self._records)
                    self._door.call(_resolve, job.answer, stored, None)
                case _Call():
                    self._door.call(_resolve, job.answer, job.function(), None)
        except GatewayError as error:
            if not isinstance(job, Compact):
                self._door.call(_resolve, job.answer, None, error)
            elif error.code not in _PASSING:
                raise
        except Exception as error:
            # A fault in what was asked for is for who asked.
            if not isinstance(job, _Call):
                raise
            log.exception("a call in the store thread failed")
            self._door.call(_resolve, job.answer, None, _internal(error))


def _with(
    stored: StoredDocument, document: str, waiting: Sequence[Change | Refusal]
) -> StoredDocument:
    """What is stored, followed by what waits to be."""
    late = [
        record.update
        for record in waiting
        if isinstance(record, Change) and record.document == document
    ]
    return replace(stored, changes=(*stored.changes, *late)) if late else stored


def _internal(error: Exception) -> GatewayError:
    return GatewayError("internal", f"an error of this program: {error!r}")


def _resolve(answer: asyncio.Future[Any], result: object, error: GatewayError | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
