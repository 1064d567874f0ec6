"""Gateways among themselves, open and sealed: a partition heals, equal stores meet; hops."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from gateway.adapters.sqlite_store import SqliteStore
from gateway.control.client import ControlClient
from gateway.core import messages as m
from gateway.core.framing import frame as record
from gateway.core.records import Change
from tests.bench.bench import Measure, Result, Run
from tests.bench.load import arrivals, author_bursts, mark
from tests.bench.scenarios import partition
from tests.bench.scenarios.own import Peer
from tests.bench.scenarios.partition import LIMIT_SECONDS
from tests.bench.servers import GATEWAY, Server
from tests.bench.stats import percentile
from tests.core.edits import Author
from tests.support.gateway import eventually
from tests.support.raw import frame

PARTITION_ROUNDS = 3

DOCUMENTS = 10_000
DIFFERING = 3
# What comes down up to GRANT: HELLO and GRANT; sealed, NOISE before them. See docs/protocol.md 3.
HANDSHAKE_FRAMES = {GATEWAY.name: 2, partition.SEALED: 3}

HOPS = 3
SAMPLES = 400
WARM_SAMPLES = 50
PAUSE_SECONDS = 0.005
HOP_ROUNDS = 5


def mesh(run: Run) -> Result:
    """All three."""
    result = Result(
        {
            **partition.measures(),
            "equal": Measure(f"two gateways with the same {DOCUMENTS:,} documents meet", "B"),
            "equal-up": Measure("the same: by the caller after it was let in", "B"),
            "equal-down": Measure("the same: by the other after it let the caller in", "B"),
            "differing": Measure(f"the same, {DIFFERING} documents differ", "B"),
            "differing-beyond": Measure(
                "the same: by both after that, without the missing updates", "B"
            ),
            "one-hop": Measure("a change through one gateway, p50", "ms"),
            "hops": Measure(f"a change through {HOPS} gateways, p50", "ms"),
            "each-hop": Measure(f"{HOPS} hops beside one, p50", "x"),
        }
    )
    for number in range(run.rounds(PARTITION_ROUNDS)):
        for case in partition.CASES:
            run.say(f"  partition {number + 1}, {case}")
            partition.part(run, result, run.folder / f"partition-{number}-{case}", case)
    for case in partition.CASES:
        run.say(f"  equal stores, {case}")
        _meet(run, result, run.folder / f"meet-{case}", case)
    _row(run, result, run.folder / "row")
    return result


def _meet(run: Run, result: Result, folder: Path, case: str) -> None:
    """What two gateways that hold the same say to each other when they are linked again."""
    less = _fill(folder / "one" / "data", 0)
    missing = _fill(folder / "two" / "data", DIFFERING) - less
    with partition.pair(run, folder, case, record=True) as linked:
        last = f"orders/{DIFFERING - 1:06}"
        eventually(lambda: _has(linked.one, last), LIMIT_SECONDS)
        linked.settle(0)
        # The last connection: while the store was being claimed others were refused.
        passed = linked.proxy.passed[-1]
        up, down = beyond(passed, HANDSHAKE_FRAMES[case])
        result.add("differing", case, sum(len(data) for _, data in passed))
        result.add("differing-beyond", case, up + down - missing)
        before = linked.proxy.carried_bytes
        linked.proxy.cut()
        linked.proxy.mend()
        linked.settle(before)
        up, down = beyond(linked.proxy.passed[-1], HANDSHAKE_FRAMES[case])
        result.add("equal", case, linked.proxy.carried_bytes - before)
        result.add("equal-up", case, up)
        result.add("equal-down", case, down)


def beyond(passed: Sequence[tuple[bool, bytes]], frames: int) -> tuple[int, int]:
    """Bytes of a connection, up and down, after so many frames came down."""
    up, down = 0, b""
    end: int | None = None
    for is_up, data in passed:
        if not is_up:
            down += data
            end = end or _end_of_frames(down, frames)
        elif end is not None:
            up += len(data)
    assert end is not None
    return up, len(down) - end


def _end_of_frames(data: bytes, count: int) -> int | None:
    """Where so many unmasked frames (RFC 6455 section 5.2) end after an HTTP answer."""
    head = data.find(b"\r\n\r\n")
    end = head + 4
    for _ in range(count):
        if head < 0 or end + 4 > len(data):
            return None
        size = data[end + 1]
        long = size == 126
        end += 2 + 2 * long + (int.from_bytes(data[end + 2 : end + 4], "big") if long else size)
    return end if end <= len(data) else None


def _has(server: Server, document: str) -> bool:
    """Whether it has the change that only one of the two had."""
    control = ControlClient(server.folder / "data" / "control.sock")
    return "done" in str(control.request("get", document=document))


def _fill(folder: Path, more: int) -> int:
    """Write a store; the bytes of all documents."""
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
    return sum(len(change.update) for change in changes)


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
