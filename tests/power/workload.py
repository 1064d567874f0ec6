"""What the store is made to do while it is recorded, and what must be left of it.

Run below the shim: ``python -m tests.power.workload SCENARIO FOLDER TRACE SEED`` (for the
scenarios ``wear…`` the size of a group in place of the seed). An update says which it is, so a
reader knows what is missing and that nothing was invented.
"""

import errno
import os
import random
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

from gateway.adapters import sqlite_file, sqlite_outbox, sqlite_store
from gateway.adapters.sqlite_recovery import restore
from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.errors import GatewayError
from gateway.core.records import Change, Refusal
from tests.power import shim

ROUNDS = 60
DOCUMENTS = 12
# Bytes of an update: mostly what an order is, now and then some pages.
SIZES = (45, 45, 45, 60, 60, 120, 348, 348, 5_000)
LARGE_BYTES = 60_000
# Folding the log back often puts more cuts into the middle of it.
CHECKPOINT_PAGES = 120
# Likewise for removing what snapshots replaced.
SWEEP_BYTES = 4_000
# And for writing down what was acknowledged by the cloud.
MARK_ROWS, MARK_ALONE_ROWS = 16, 64
# At most so many syncs go well before one fails.
SYNCS_BETWEEN = 12
WEAR_UPDATES, WEAR_BYTES = 5_000, 60
BACKUP = Path("backups") / "last-good.db"


@cache
def change(seed: int, index: int) -> Change:
    """The update with a number. Several in a row are an update too, such as a snapshot."""
    chance = random.Random(seed << 32 | index)
    size = LARGE_BYTES if chance.random() < 0.005 else chance.choice(SIZES)
    update = struct.pack(">II", size, index) + chance.randbytes(size - 8)
    return Change(f"orders/{chance.randrange(DOCUMENTS)}", update, "phone")


def separate(raw: bytes) -> Iterator[bytes]:
    """The updates that are in a row."""
    at = 0
    while at < len(raw):
        (size,) = struct.unpack_from(">I", raw, at)
        yield raw[at : at + size]
        at += size


def held(store: SqliteStore, seed: int, *, in_order: bool = True) -> set[int]:
    """The numbers of the updates a store holds; each is as it was written."""
    found: set[int] = set()
    for name in store.names():
        stored = store.load(name)
        updates = list(separate(stored.snapshot + b"".join(stored.changes)))
        numbers = [int.from_bytes(update[4:8]) for update in updates]
        assert not in_order or numbers == sorted(set(numbers)), f"out of order: {numbers[-8:]}"
        for number, update in zip(numbers, updates, strict=True):
            assert change(seed, number) == Change(name, update, "phone"), "not what was written"
        found.update(numbers)
    return found


def refusal(index: int) -> Refusal:
    """The refused update of a round."""
    return Refusal("orders/1", b"refused %d" % index, "phone", 4422, "an example")


def load(folder: Path, seed: int, mark: Callable[[str], None], *, control: bool = False) -> None:
    """Append, compact, refuse, back up, close and open again; a mark when it is done."""
    chance, count = random.Random(seed), 0
    store = SqliteStore.open(folder)
    for number in range(ROUNDS):
        if control:
            connection = store._database.connection
            connection.execute("PRAGMA synchronous = NORMAL")
        group = [change(seed, count + i) for i in range(chance.choice((1, 1, 3, 10, 40)))]
        store.append([*group, refusal(number)] if number % 15 == 14 else group)
        count += len(group)
        mark(f"acked {count} {(number + 1) // 15}")
        if number % 4 == 3:
            compact(store, chance)
        if number % 20 == 15:
            store.backup(folder / BACKUP)
            mark(f"backup {count}")
        if number % 30 == 20:
            store.close()
            store = SqliteStore.open(folder)
    store.close()
    mark("closed")


def relay(folder: Path, seed: int, mark: Callable[[str], None]) -> None:
    """Append and compact while a cloud takes some of it; a mark before it takes everything."""
    chance, count = random.Random(seed), 0
    store = relaying(folder)
    for number in range(ROUNDS):
        group = [change(seed, count + i) for i in range(chance.choice((1, 1, 3, 10, 40)))]
        store.append(group)
        count += len(group)
        mark(f"acked {count} 0")
        send_some(store, chance)
        if number % 4 == 3:
            compact(store, chance)
        if number % 7 == 6:
            mark(f"sending {count}")
            send_all(store)
        if number % 20 == 13:
            store.close()
            store = relaying(folder)
    store.close()
    mark("closed")


def relaying(folder: Path) -> SqliteStore:
    """A store whose changes wait for a cloud."""
    store = SqliteStore.open(folder)
    store.relay(None)
    return store


def send_some(store: SqliteStore, chance: random.Random) -> None:
    """Merge what waits of a document, and send some other that is not quiet."""
    merged, gone = (chance.choice([*store.waiting(DOCUMENTS), ""]) for _ in range(2))
    waiting = store.read(merged)
    store.merge(merged, waiting.last, b"".join(waiting.updates))
    if not is_quiet(gone):
        store.sent(gone, store.read(gone).last)


def send_all(store: SqliteStore) -> None:
    """Nothing waits any more."""
    for name in store.waiting(DOCUMENTS):
        store.sent(name, store.read(name).last)


def is_quiet(document: str) -> bool:
    """Whether a document is only sent when all are."""
    return int(document[-1:] or 0) % 2 == 1


def unsent(store: SqliteStore, seed: int, since: int, acked: int) -> set[int]:
    """Updates of quiet documents that were acknowledged to devices and not sent since, but do not
    wait; ``store`` was just opened."""
    store.relay(None)
    waiting = {
        int.from_bytes(update[4:8])
        for name in store.waiting(DOCUMENTS)
        for update in separate(b"".join(store.read(name).updates))
    }
    return {
        index
        for index in range(since, acked)
        if index not in waiting and is_quiet(change(seed, index).document)
    }


def failing_syncs(folder: Path, seed: int) -> None:
    """Append while a sync fails now and then; after each failure the store is opened again."""
    chance, acked, store = random.Random(seed), 0, None
    shim.fail(errno.EIO, shim.SYNCS, SYNCS_BETWEEN, 1)
    while acked < 10 * ROUNDS:
        group = [change(seed, acked + i) for i in range(chance.choice((1, 3, 10)))]
        try:
            store = store or SqliteStore.open(folder)
            store.append(group)
        except GatewayError:
            shim.fail(errno.EIO, shim.SYNCS, chance.randrange(SYNCS_BETWEEN), 1)
            if store is not None:
                store.close()
            store = None
        else:
            acked += len(group)
            shim.mark(f"acked {acked} 0")


def compact(store: SqliteStore, chance: random.Random) -> None:
    """Fold some document into a snapshot, its last few updates kept apart."""
    name = chance.choice(store.names())
    stored = store.load(name)
    # What was merged may be in the snapshot already.
    updates = list(dict.fromkeys(separate(stored.snapshot + b"".join(stored.changes))))
    # What is kept apart are changes, never a part of the last snapshot.
    cut = len(updates) - chance.randrange(min(4, len(stored.changes) + 1))
    store.compact(name, b"".join(updates[:cut]), updates[cut:])


def small_updates(folder: Path, group: int, *, relayed: bool = False, sent: bool = False) -> None:
    """Append many updates of 60 bytes, so many in one commit; for the wear of a card."""
    with closing(SqliteStore.open(folder)) as store:
        if relayed:
            store.relay(None)
        for first in range(0, WEAR_UPDATES, group):
            store.append(
                [
                    Change(
                        f"orders/{i % DOCUMENTS}", random.Random(i).randbytes(WEAR_BYTES), "phone"
                    )
                    for i in range(first, min(first + group, WEAR_UPDATES))
                ]
            )
            if sent:
                send_all(store)


def rebuild(folder: Path) -> None:
    """Open a damaged store."""
    SqliteStore.open(folder).close()
    shim.mark("rebuilt")


def bring_back(folder: Path) -> None:
    """Restore the backup that lies beside the folder."""
    restore(folder, folder.with_name("backup.db"))
    shim.mark("restored")
    SqliteStore.open(folder).close()


def main() -> None:
    """Record one scenario."""
    scenario, folder, trace, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if not scenario.startswith("wear"):
        sqlite_file.CHECKPOINT_PAGES = CHECKPOINT_PAGES
        sqlite_store.SWEEP_BYTES = SWEEP_BYTES
        sqlite_outbox.MARK_ROWS, sqlite_outbox.MARK_ALONE_ROWS = MARK_ROWS, MARK_ALONE_ROWS
    shim.watch(folder)
    shim.record(os.open(trace, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600))
    if scenario == "rebuild":
        rebuild(folder)
    elif scenario == "restore":
        bring_back(folder)
    elif scenario == "failing-syncs":
        failing_syncs(folder, seed)
    elif scenario == "relay":
        relay(folder, seed, shim.mark)
    elif scenario.startswith("wear"):
        relayed, sent = scenario != "wear", scenario == "wear-sent"
        small_updates(folder, seed, relayed=relayed, sent=sent)
    else:
        load(folder, seed, shim.mark, control=scenario == "control")


if __name__ == "__main__":
    main()
