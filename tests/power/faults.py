"""Disk faults at every call: ``python -m tests.power.faults FOLDER FAULT``, below the shim.

For each call that writes, syncs or changes an entry, one run in which just that call fails
(and for a full disk, those after it until room is made). Prints one JSON line.
"""

import errno
import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.adapters import sqlite_file, sqlite_outbox, sqlite_store
from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.errors import GatewayError
from tests.power import shim, workload

# Folds the log into the file during the few commits of a run.
CHECKPOINT_PAGES = 8
# Removes what the second snapshot replaced.
SWEEP_BYTES = 1_000
COMMITS = 12
# Sends what waits each time.
COMMITS_TO_SEND = 4
SEED = 5
# A fault that no run gets past would go on for ever.
MOST_CALLS = 2_000
FOR_EVER = 1 << 30


@dataclass(frozen=True)
class Fault:
    """Which calls fail, how, and how many in a row."""

    number: int
    kinds: int
    times: int


FAULTS = {
    "full": Fault(errno.ENOSPC, shim.WRITES | shim.ENTRIES, FOR_EVER),
    "write": Fault(errno.EIO, shim.WRITES, 1),
    "sync": Fault(errno.EIO, shim.SYNCS, 1),
    "read-only": Fault(errno.EROFS, shim.WRITES | shim.ENTRIES, FOR_EVER),
}


class _Run:
    """A store at work; remembers what was acknowledged and what failed."""

    def __init__(self, folder: Path) -> None:
        self.acked = 0
        # Up to where a cloud may have taken what it was sent.
        self.sent = 0
        self.codes = Counter[str]()
        self._folder = folder

    def go(self) -> None:
        """Commit, compact and back up until the end or the first error that stays."""
        try:
            with closing(SqliteStore.open(self._folder)) as store:
                self._work(store)
        except GatewayError as error:
            # Of the opening, of the closing, or of a store that must be closed.
            self._note(error)

    def _work(self, store: SqliteStore) -> None:
        self._insist(store, partial(store.relay, None))
        for index in range(COMMITS):
            self._insist(store, partial(store.append, [workload.change(SEED, index)]))
            self.acked += 1
            if index % COMMITS_TO_SEND == COMMITS_TO_SEND - 1:
                self.sent = self.acked
                self._insist(store, partial(workload.send_all, store))
            if index == COMMITS // 2:
                self._insist(store, partial(_compact, store))
                # What a backup meets is not the store's own disk.
                try:
                    store.backup(self._folder / workload.BACKUP)
                except GatewayError as error:
                    self._note(error)

    def _insist(self, store: SqliteStore, verb: Callable[[], None]) -> None:
        """Make room after a full disk and go on; any other error ends the work."""
        try:
            verb()
        except GatewayError as error:
            if error.code == "store-full":
                self._note(error)
                verb()
            else:
                mend()
                with suppress(GatewayError):
                    store.append([workload.change(SEED, COMMITS)])
                    raise AssertionError("a store that failed went on") from None
                raise

    def _note(self, error: GatewayError) -> None:
        assert error.sentence.isprintable()
        self.codes[error.code] += 1
        mend()


def _compact(store: SqliteStore) -> None:
    name = store.names()[0]
    stored = store.load(name)
    store.compact(name, stored.snapshot + b"".join(stored.changes), ())


def mend() -> None:
    """Let no call fail any more."""
    shim.fail(0, 0, 0, 0)


def run_all(base: Path, fault: Fault) -> dict[str, object]:
    """Let every call fail once; what came of it."""
    codes, lost = Counter[str](), 0
    for first in range(MOST_CALLS):
        folder = base / f"run-{first}"
        shim.watch(folder)
        shim.fail(fault.number, fault.kinds, first, fault.times)
        run = _Run(folder)
        run.go()
        reached = shim.calls() > first or run.codes.total() > 0
        mend()
        with closing(SqliteStore.open(folder)) as store:
            recovered = store.status().recovered
            assert not recovered, recovered
            missing = set(range(run.acked)) - workload.held(store, SEED)
            lost += len(missing | workload.unsent(store, SEED, run.sent, run.acked))
        codes += run.codes
        if not reached:
            return {"runs": first, "lost": lost, "codes": dict(codes)}
    raise AssertionError("there is no end to the calls")


def main() -> None:
    """Run one kind of fault."""
    sqlite_file.CHECKPOINT_PAGES = CHECKPOINT_PAGES
    sqlite_store.SWEEP_BYTES = SWEEP_BYTES
    # The mark goes along with the commit after that, or alone.
    sqlite_outbox.MARK_ROWS, sqlite_outbox.MARK_ALONE_ROWS = 1, COMMITS_TO_SEND + 1
    print(json.dumps(run_all(Path(sys.argv[1]), FAULTS[sys.argv[2]])))


if __name__ == "__main__":
    main()
