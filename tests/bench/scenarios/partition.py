"""Two gateways that lose each other, are both worked at, and find each other again."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.sqlite_store import SqliteStore
from gateway.control.client import ControlClient
from gateway.core import y_messages as y
from gateway.core.document import Document
from tests.bench.bench import Measure, Result, Run
from tests.bench.processes import until_quiet
from tests.bench.servers import GATEWAY, Server
from tests.core.edits import Author
from tests.support.gateway import eventually
from tests.support.proxy import Proxy
from tests.support.raw import RawClient
from tests.support.store import command

# Work on each side of the partition: this many orders, each with so many edits.
ORDERS = 500
EDITS = 10
# Every tenth order is worked on at both sides.
SHARED = 10
MINUTES = 10.0

SEALED = "sealed"
CASES = (GATEWAY.name, SEALED)
QUIET_SECONDS = 1.0
LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class Pair:
    """Two linked gateways, of which ``two`` calls ``one`` through ``proxy``."""

    one: Server
    two: Server
    proxy: Proxy

    def settle(self, before: int) -> None:
        """Wait until they are linked, something was carried, and then nothing for a while."""
        eventually(lambda: _linked(self.two), LIMIT_SECONDS, 0.01)
        deadline = time.monotonic() + LIMIT_SECONDS
        while not self._is_quiet(before) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.proxy.carried_bytes > before, f"nothing was said for {LIMIT_SECONDS:.0f} s"

    def _is_quiet(self, before: int) -> bool:
        silent = time.monotonic() - self.proxy.carried_at
        return self.proxy.carried_bytes > before and silent >= QUIET_SECONDS


def measures(length: str = "") -> dict[str, Measure]:
    """Of ``part``."""
    edits = f"partition{length}, {ORDERS * EDITS:,} edits on each side"
    return {
        "heal": Measure(f"{edits}: link back to all equal", "s"),
        "heal-bytes": Measure("the same: bytes carried, of those of the missing updates", "x"),
    }


def long(run: Run) -> Result:
    """Ten minutes by the clock, sealed."""
    result = Result(measures(f" of {MINUTES:g} minutes"))
    part(run, result, run.folder / "long", SEALED, MINUTES * 60)
    return result


def part(run: Run, result: Result, folder: Path, case: str, seconds: float = 0.0) -> None:
    """One partition; the edits of both sides are spread over ``seconds``."""
    folders = [folder / side / "data" for side in ("one", "two")]
    with pair(run, folder, case) as linked:
        tokens = [_token(one) if case == SEALED else "" for one in folders]
        proxy, servers = linked.proxy, (linked.one, linked.two)
        proxy.cut()
        sizes = [0, 0]

        def work(side: int) -> None:
            sizes[side] = _work(servers[side].port, side + 1, tokens[side], seconds)

        workers = [threading.Thread(target=work, args=(side,)) for side in (0, 1)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for server in servers:
            until_quiet(server.pid, QUIET_SECONDS)
        before, mended = proxy.carried_bytes, time.monotonic()
        proxy.mend()
        linked.settle(before)
        result.add("heal", case, proxy.carried_at - mended)
        result.add("heal-bytes", case, (proxy.carried_bytes - before) / sum(sizes))
        for server in servers:
            server.stop()
    _check_equal(folders)


@contextmanager
def pair(run: Run, folder: Path, case: str, *, record: bool = False) -> Iterator[Pair]:
    """Two linked gateways, both of one store where they are sealed."""
    with ExitStack() as stack:
        one = stack.enter_context(Server(GATEWAY, folder / "one", run.cores))
        proxy = stack.enter_context(Proxy(one.port, record=record))
        call = ("--connect", f"127.0.0.1:{proxy.port}")
        two = stack.enter_context(Server(GATEWAY, folder / "two", run.cores, *call))
        if case == SEALED:
            code = command(one.folder / "data", "claim")["recovery_code"]
            joined = command(two.folder / "data", "claim", "--recovery-code", text=f"{code}\n")
            assert joined["ok"], joined
        made = Pair(one, two, proxy)
        made.settle(0)
        yield made


def _linked(server: Server) -> bool:
    status = ControlClient(server.folder / "data" / "control.sock").request("status")
    return any(one["kind"] == "mesh" and one["state"] == "open" for one in status["sessions"])


def _token(folder: Path) -> str:
    return f"?token={command(folder, 'token')['token']}"


def _work(port: int, side: int, token: str, seconds: float) -> int:
    """Orders rung up and worked on at one side; the bytes of their updates."""
    size = 0
    began = time.monotonic()
    for number in range(ORDERS):
        shared = number % SHARED == 0
        document = f"orders/{number if shared else f'{side}-{number}'}"
        author = Author(1_000 * side + number)
        with RawClient(port, f"/sync/{document}{token}") as client:
            for n in range(EDITS):
                due = began + (number + n / EDITS) * seconds / ORDERS
                # The pace of the work; nothing waits for it.
                time.sleep(max(0.0, due - time.monotonic()))
                edit = author.set(f"line-{side}-{n}", f"{n} espresso")
                size += len(edit)
                client.send(y.update(edit))
            # It is answered after what was said before it.
            client.send(y.step_1(author.state()))
            while not isinstance(y.decode(client.recv()), y.Change):
                pass
    return size


def _check_equal(folders: list[Path]) -> None:
    """Both stores hold the same documents with the same content."""
    held = []
    for folder in folders:
        with closing(SqliteStore.open(folder)) as store:
            held.append(
                {
                    name: Document.load(name, (s := store.load(name)).snapshot, s.changes)
                    .fingerprint()
                    for name in store.names()
                }
            )  # fmt: skip
    assert held[0] == held[1], "the stores differ"
    assert len(held[0]) == 2 * ORDERS - ORDERS // SHARED
