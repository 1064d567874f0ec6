"""A hub's databases, measured in one run on the same data: ``python -m tests.bench.hub_database``.

Prints a table for docs/hub-database.md. PostgreSQL is the one of the tests, with fsync and 16 MB of
buffers, on this machine.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.adapters.postgres_cloud import PostgresCloud
from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.core.cloud_records import CloudChange
from gateway.ports import CloudStore
from tests.support.postgres import PostgresServer

SECONDS = 4.0
DOCUMENTS = 10_000
UPDATE = bytes(range(120))
SHOP = "a1" * 16
Open = Callable[[], CloudStore]


def shop(number: int) -> str:
    """The space of a store."""
    return f"{number:032x}"


def changes(space: str, turn: int, many: int) -> list[CloudChange]:
    """Changes of so many documents of a store."""
    return [
        CloudChange(space, f"orders/{(turn * many + n) % DOCUMENTS:06}", UPDATE, "ab" * 16)
        for n in range(many)
    ]


def appends(opened: Open, many: int, workers: int, *, one_store: bool) -> float:
    """Changes a second in transactions of so many, by workers side by side."""
    counts = [0] * workers

    def work(worker: int, store: CloudStore) -> None:
        space = shop(0 if one_store else worker)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            store.append(changes(space, counts[worker], many))
            counts[worker] += 1

    stores = [opened() for _ in range(workers)]
    threads = [threading.Thread(target=work, args=each) for each in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    return sum(counts) * many / SECONDS


def milliseconds(verb: Callable[[], object], times: int = 20) -> float:
    """The median of a verb."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        verb()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[times // 2] * 1_000


def measured(opened: Open) -> Iterator[tuple[str, float]]:
    """What is measured, and its figure."""
    for many in (1, 10, 100):
        figure = appends(opened, many, 1, one_store=True)
        yield f"changes/s, transactions of {many}", figure
    for many in (1, 100):
        figure = appends(opened, many, 4, one_store=False)
        yield f"changes/s, 4 workers and 4 stores, {many}", figure
        figure = appends(opened, many, 4, one_store=True)
        yield f"changes/s, 4 workers and 1 store, {many}", figure
    with closing(opened()) as store:
        for turn in range(DOCUMENTS // 100):
            store.append(changes(SHOP, turn, 100))
        for turn in range(DOCUMENTS // 1_000):
            store.append(changes(shop(1_000 + turn), turn, 100))
        place = f"orders/{DOCUMENTS // 2:06}"
        yield "ms, held (10,000 documents)", milliseconds(lambda: store.held(SHOP))
        yield "ms, held of an empty collection", milliseconds(lambda: store.held(SHOP, ["menu"]))
        yield "ms, page of 100", milliseconds(lambda: store.page(SHOP, "orders", place, 100))
        _, feed = store.changed(SHOP, "", DOCUMENTS // 2)
        yield "ms, changed: 100 of one store", milliseconds(lambda: store.changed(SHOP, feed, 100))
        yield "ms, changed: 100 of all", milliseconds(lambda: store.changed("", feed, 100))
        yield "ms, changed: nothing", milliseconds(lambda: store.changed("", "now", 100))
        yield "ms, load", milliseconds(lambda: store.load(SHOP, place))
        yield "ms, totals", milliseconds(store.totals)


@contextmanager
def postgres(folder: Path) -> Iterator[Open]:
    """A server of our own."""
    with PostgresServer(folder) as server:
        yield lambda: PostgresCloud.open(server.url)


def main() -> None:
    """Measure both and print the table."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        lite = dict(measured(lambda: SqliteCloud.open(folder / "lite")))
        print("SQLite is done", file=sys.stderr)
        with postgres(folder) as opened:
            server = dict(measured(opened))
    print("| | SQLite | PostgreSQL |\n|---|---:|---:|")
    for what, figure in lite.items():
        digits = 1 if what.startswith("ms") else 0
        print(f"| {what} | {figure:,.{digits}f} | {server[what]:,.{digits}f} |")


if __name__ == "__main__":
    main()
