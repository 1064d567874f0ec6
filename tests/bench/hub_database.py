"""A hub's databases, measured in one run on the same data: ``python -m tests.bench.hub_database``.

Prints a table for docs/hub-database.md. PostgreSQL is the one of the tests, with fsync and 16 MB of
buffers, on this machine.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

from gateway.adapters.postgres_cloud import PostgresCloud
from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.core.cloud_records import CloudChange
from gateway.ports import CloudStore
from tests.support.postgres import PostgresServer

SECONDS = 4.0
WORKERS = 4
DOCUMENTS = 10_000
UPDATE = bytes(range(120))
SHOP = "a1" * 16


def opened(url: str) -> CloudStore:
    """A database by its address: a server's, or a folder."""
    return PostgresCloud.open(url) if "://" in url else SqliteCloud.open(Path(url))


def shop(number: int) -> str:
    """The space of a store."""
    return f"{number:032x}"


def changes(space: str, turn: int, many: int) -> list[CloudChange]:
    """Changes of so many documents of a store."""
    return [
        CloudChange(space, f"orders/{(turn * many + n) % DOCUMENTS:06}", UPDATE, "ab" * 16)
        for n in range(many)
    ]


def work(url: str, space: str, many: int, end: float) -> int:
    """Append transactions of so many changes until a moment; how many changes."""
    with closing(opened(url)) as store:
        turn = 0
        while time.time() < end:
            store.append(changes(space, turn, many))
            turn += 1
    return turn * many


def appends(pool: ProcessPoolExecutor, url: str, many: int, spaces: list[str]) -> float:
    """Changes a second in transactions of so many, by a process for each space named."""
    begun = time.time()
    works = [pool.submit(work, url, space, many, begun + SECONDS) for space in spaces]
    return sum(each.result() for each in works) / (time.time() - begun)


def milliseconds(verb: Callable[[], object], turns: int = 20) -> float:
    """The median of a verb."""
    taken = []
    for _ in range(turns):
        begun = time.perf_counter()
        verb()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[turns // 2] * 1_000


def rates(url: str) -> Iterator[tuple[str, float]]:
    """Changes a second, by one and by several processes."""
    opened(url).close()
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        # The processes are there before anything counts.
        appends(pool, url, 1, [shop(number) for number in range(WORKERS)])
        for many in (1, 10, 100):
            yield f"changes/s, transactions of {many}", appends(pool, url, many, [SHOP])
        for many in (1, 100):
            each = [shop(number) for number in range(WORKERS)]
            yield f"changes/s, 4 workers, a store each, {many}", appends(pool, url, many, each)
            same = [SHOP] * WORKERS
            yield f"changes/s, 4 workers, the same store, {many}", appends(pool, url, many, same)


def times(url: str) -> Iterator[tuple[str, float]]:
    """Milliseconds of what is read of 10,000 documents of a store."""
    with closing(opened(url)) as store:
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


def main() -> None:
    """Measure both and print the table."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        url = str(folder / "lite")
        lite = {**dict(rates(url)), **dict(times(url))}
        with PostgresServer(folder) as running:
            server = dict(rates(running.url))
            with closing(running.connect()) as connection:
                # As it would by itself soon after so many changes.
                connection.execute("VACUUM ANALYZE")
            server.update(times(running.url))
    print("| | SQLite | PostgreSQL |\n|---|---:|---:|")
    for what, figure in lite.items():
        digits = 1 if what.startswith("ms") else 0
        print(f"| {what} | {figure:,.{digits}f} | {server[what]:,.{digits}f} |")


if __name__ == "__main__":
    main()
