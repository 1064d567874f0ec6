"""Wakes who waits for changes: one thread looks for all of them, while there are any."""

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable

from gateway.core.errors import GatewayError
from gateway.ports import CloudStore

# What it takes at most to see a change that the database does not tell of.
LOOK_SECONDS = 0.25
# After the database failed.
PAUSE_SECONDS = 2.0
LOOKED_AT = 1_000

# How far a space is; only that it is another one than before says something.
Mark = tuple[int, int]

log = logging.getLogger("gateway.api")


class Watch:
    """Readers ask ``mark``, then the database, then ``wait`` until the mark is old.

    ``open_store`` gives the thread an object of its own.
    """

    def __init__(self, open_store: Callable[[], CloudStore]) -> None:
        self._open = open_store
        # Two for one lock: who begins to wait wakes the thread, and not all the others.
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._wanted = threading.Condition(lock)
        self._numbers = Counter[str]()
        # Counts for all spaces together what may have changed in any.
        self._all = 0
        self._waiting = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="api-watch")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Wake everybody, and end; idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._wanted.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_closed(self) -> bool:
        """Whether nobody is to wait any more."""
        return self._is_closed

    def mark(self, space: str) -> Mark:
        """How far a space is."""
        with self._changed:
            return self._mark(space)

    def wait(self, space: str, mark: Mark, seconds: float) -> bool:
        """Whether a space may be further than a mark; waits for that at most so long."""
        with self._changed:
            self._waiting += 1
            self._wanted.notify_all()
            try:
                self._changed.wait_for(
                    lambda: self._is_closed or self._mark(space) != mark, seconds
                )
            finally:
                self._waiting -= 1
            return self._mark(space) != mark

    def _mark(self, space: str) -> Mark:
        return self._all, self._numbers[space]

    def _run(self) -> None:
        while self._is_wanted():
            try:
                with contextlib.closing(self._open()) as store:
                    self._look(store)
            except GatewayError as error:
                log.warning("%s", error.sentence)
                with self._wanted:
                    self._wanted.wait_for(lambda: self._is_closed, PAUSE_SECONDS)

    def _is_wanted(self) -> bool:
        """Returns once somebody waits; False when all is over."""
        with self._wanted:
            self._wanted.wait_for(lambda: self._is_closed or self._waiting)
            return not self._is_closed

    def _look(self, store: CloudStore) -> None:
        """Tell of changes while anybody waits."""
        place = "now"
        while self._waiting and not self._is_closed:
            rows, found = store.changed("", place, LOOKED_AT)
            if rows or place == "now":
                with self._changed:
                    # What was before is not known: everybody looks once.
                    self._all += place == "now"
                    self._numbers.update(row.space for row in rows)
                    self._changed.notify_all()
            # Behind so many others nobody is to wait: it goes on from the end.
            place = found if len(rows) < LOOKED_AT else "now"
            store.wait_for_changes(LOOK_SECONDS)
