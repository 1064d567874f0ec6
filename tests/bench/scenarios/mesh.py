"""Gateways among themselves: a partition that heals, equal stores that meet, hops."""

import time
from contextlib import ExitStack, closing
from pathlib import Path

from gateway.adapters.sqlite_store import SqliteStore
from gateway.core import messages as m
from gateway.core.document import Document
from gateway.core.framing import frame as record
from gateway.core.records import Change
from tests.bench.bench import Measure, Result, Run
from tests.bench.load import arrivals, author_bursts, mark
from tests.bench.processes import until_quiet
from tests.bench.scenarios.own import Peer
from tests.bench.servers import GATEWAY, Server
from tests.bench.stats import percentile
from tests.core.edits import Author
from tests.support.proxy import Proxy
from tests.support.raw import frame

# Work on each side of the partition: this many orders, each with so many edits.
ORDERS = 500
EDITS = 10
# Every tenth order is worked on at both sides.
SHARED = 10
PARTITION_ROUNDS = 3

DOCUMENTS = 10_000
DIFFERING = 3

HOPS = 3
SAMPLES = 400
WARM_SAMPLES = 50
PAUSE_SECONDS = 0.005
HOP_ROUNDS = 5

QUIET_SECONDS = 1.0
LIMIT_SECONDS = 60.0


def mesh(run: Run) -> Result:
    """All three."""
    result = Result(
        {
            "heal": Measure(
                f"partition, {ORDERS * EDITS:,} edits on each side: link back to all equal", "s"
            ),
            "heal-bytes": Measure("the same: bytes carried, of those of the missing updates", "x"),
            "equal": Measure(f"two gateways with the same {DOCUMENTS:,} documents meet", "B"),
            "differing": Measure(f"the same, {DIFFERING} documents differ", "B"),
            "one-hop": Measure("a change through one gateway, p50", "ms"),
            "hops": Measure(f"a change through {HOPS} gateways, p50", "ms"),
            "each-hop": Measure(f"{HOPS} hops beside one, p50", "x"),
        }
    )
    for number in range(run.rounds(PARTITION_ROUNDS)):
        run.say(f"  partition {number + 1}")
        _partition(run, result, run.folder / f"partition-{number}")
    run.say("  equal stores")
    _meet(run, result, run.folder / "meet")
    _row(run, result, run.folder / "row")
    return result


def _partition(run: Run, result: Result, folder: Path) -> None:
    folders = [folder / side / "data" for side in ("one", "two")]
    with ExitStack() as stack:
        one = stack.enter_context(Server(GATEWAY, folder / "one", run.cores))
        proxy = stack.enter_context(Proxy(one.port))
        call = ("--connect", f"127.0.0.1:{proxy.port}")
        two = stack.enter_context(Server(GATEWAY, folder / "two", run.cores, *call))
        _settle(proxy, 0)
        proxy.cut()
        missing = _work(one.port, 1) + _work(two.port, 2)
        for server in (one, two):
            until_quiet(server.pid, QUIET_SECONDS)
        before, mended = proxy.carried_bytes, time.monotonic()
        proxy.mend()
        _settle(proxy, before)
        result.add("heal", GATEWAY.name, proxy.carried_at - mended)
        result.add("heal-bytes", GATEWAY.name, (proxy.carried_bytes - before) / missing)
        for server in (two, one):
            server.stop()
    _check_equal(folders)


def _work(port: int, side: int) -> int:
    """Orders rung up and worked on at one side; the bytes of their updates."""
    size = 0
    spoken: list[m.Record] = []
    for number in range(ORDERS):
        shared = number % SHARED == 0
        document = f"orders/{number if shared else f'{side}-{number}'}"
        author = Author(1_000 * side + number)
        edits = [author.set(f"line-{side}-{n}", f"{n} espresso") for n in range(EDITS)]
        spoken.append(m.Open(number + 1, document, b"\x00"))
        spoken += [m.Update(number + 1, edit) for edit in edits]
        size += sum(map(len, edits))
    with closing(Peer(port, 10 + side)) as peer:
        peer.write(*spoken)
    return size


def _meet(run: Run, result: Result, folder: Path) -> None:
    """What two gateways that hold the same say to each other when they are linked again."""
    with ExitStack() as stack:
        _fill(folder / "one" / "data", 0)
        _fill(folder / "two" / "data", DIFFERING)
        one = stack.enter_context(Server(GATEWAY, folder / "one", run.cores))
        proxy = stack.enter_context(Proxy(one.port))
        call = ("--connect", f"127.0.0.1:{proxy.port}")
        two = stack.enter_context(Server(GATEWAY, folder / "two", run.cores, *call))
        # They look through what they hold before they compare it.
        for server in (one, two):
            until_quiet(server.pid, QUIET_SECONDS)
        _settle(proxy, 0)
        result.add("differing", GATEWAY.name, proxy.carried_bytes)
        before = proxy.carried_bytes
        proxy.cut()
        proxy.mend()
        _settle(proxy, before)
        result.add("equal", GATEWAY.name, proxy.carried_bytes - before)


def _fill(folder: Path, more: int) -> None:
    changes = []
    for number in range(DOCUMENTS):
        author = Author(number + 1)
        author.set("station", "grill")
        if number < more:
            author.set("status", "done")
        changes.append(Change(f"orders/{number:06}", author.whole(), ""))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with closing(SqliteStore.open(folder)) as store:
        store.append(changes)


def _row(run: Run, result: Result, folder: Path) -> None:
    """The writer is at the first of a row of gateways; a reader at the first, one at the last."""
    edits = author_bursts(0, SAMPLES + WARM_SAMPLES, 1)
    messages = [
        (frame(record(m.encode(m.Update(1, burst[0])))), mark(0, number))
        for number, burst in enumerate(edits)
    ]
    with ExitStack() as stack:
        servers: list[Server] = []
        for number in range(HOPS):
            call = ("--connect", f"127.0.0.1:{servers[-1].port}") if servers else ()
            server = Server(GATEWAY, folder / f"{number}", run.cores, *call)
            servers.append(stack.enter_context(server))
        for number in range(run.rounds(HOP_ROUNDS, 2)):
            run.say(f"  hops, round {number + 1}")
            p50 = {
                name: _through(servers[0], last, f"bench/{number}-{name}", messages)
                for name, last in (("one-hop", servers[0]), ("hops", servers[-1]))
            }
            for name, value in p50.items():
                result.add(name, GATEWAY.name, value)
            result.add("each-hop", GATEWAY.name, p50["hops"] / p50["one-hop"])


def _through(
    first: Server, last: Server, document: str, messages: list[tuple[bytes, bytes]]
) -> float:
    with closing(Peer(first.port, 1)) as writer, closing(Peer(last.port, 2)) as reader:
        writer.open(1, document)
        reader.open(1, document)
        for peer in (writer, reader):
            peer.raw.socket.setblocking(False)
        sockets = writer.raw.socket, [reader.raw.socket]
        arrivals(*sockets, messages[:WARM_SAMPLES], PAUSE_SECONDS)
        times = arrivals(*sockets, messages[WARM_SAMPLES:], PAUSE_SECONDS)
    return percentile(times, 0.5) * 1_000


def _settle(proxy: Proxy, before: int) -> None:
    """Wait until something was carried, and then nothing for a while."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while (
        proxy.carried_bytes == before or time.monotonic() - proxy.carried_at < QUIET_SECONDS
    ) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert proxy.carried_bytes > before, f"nothing was said for {LIMIT_SECONDS:.0f} s"


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
