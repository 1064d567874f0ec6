"""The hub's database for many threads: each has an object of its own for as long as it needs."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.core.errors import GatewayError
from gateway.ports import CloudStore

# Who waits longer would rather be told.
WAIT_SECONDS = 5.0
EX_TEMPFAIL = 75

log = logging.getLogger("gateway.api")


class Pool:
    """At most ``most`` objects that ``open_store`` makes, which raises as ``CloudStore`` does."""

    def __init__(self, open_store: Callable[[], CloudStore], most: int) -> None:
        self._open = open_store
        self._free: list[CloudStore] = []
        self._turns = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._is_closed = False

    @contextmanager
    def store(self) -> Iterator[CloudStore]:
        """One that nobody else uses meanwhile. Raises ``GatewayError`` ``busy``, and the like.

        Once a database failed no object of it is used again: the others failed as well.
        """
        if not self._turns.acquire(timeout=WAIT_SECONDS):
            raise GatewayError("busy", "too much is asked at once; try again", EX_TEMPFAIL)
        try:
            store = self._take()
            try:
                yield store
            except GatewayError as error:
                if error.code.startswith("hub-database-"):
                    log.warning("%s", error.sentence)
                    store.close()
                    self._forget()
                else:
                    self._give(store)
                raise
            except BaseException:
                store.close()
                raise
            else:
                self._give(store)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close all, those that are in use when they come back; idempotent."""
        with self._lock:
            self._is_closed = True
        self._forget()

    def _forget(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for store in free:
            store.close()

    def _take(self) -> CloudStore:
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._open()

    def _give(self, store: CloudStore) -> None:
        with self._lock:
            if not self._is_closed:
                self._free.append(store)
                return
        store.close()
