"""The gateway alone: many documents, subscriptions, what a small peer is sent."""

import random
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from gateway.adapters.sqlite_store import SqliteStore
from gateway.core import messages as m
from gateway.core.framing import frame as record
from gateway.core.records import Change
from tests.bench.bench import Measure, Result, Run
from tests.bench.load import arrivals, author_bursts, mark
from tests.bench.processes import cpu_seconds, memory_bytes, until_quiet
from tests.bench.servers import GATEWAY, Server
from tests.bench.stats import percentile
from tests.core.edits import Author
from tests.support.mesh import MeshClient
from tests.support.raw import frame

COUNTS = (100, 1_000, 10_000, 100_000)
SMALL_COUNTS = (100, 1_000, 10_000)
LINES = 10
# Documents written in one go; then their acks are awaited.
BATCH = 200
VISITS = 200
VISIT_ROUNDS = 7
MB = 1e6

PEERS = 50
SUBSCRIPTIONS_EACH = 20
SAMPLES = 300
WARM_SAMPLES = 30
PAUSE_SECONDS = 0.003
ROUNDS = 7

SMALL_PEER_DOCUMENTS = 10_000
SMALL_PEER_SHARE = 100


Edits = list[list[bytes]]


class Peer(MeshClient):
    """A mesh peer that counts what it sends, so that it can await its acks."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__(port, number.to_bytes(16, "big"))
        self._sent = 0

    def write(self, *spoken: m.Record) -> None:
        """Say records and wait until every update among them is on the disk."""
        self._sent += sum(isinstance(one, m.Update | m.Diff) for one in spoken)
        self.say(*spoken)
        while not isinstance(ack := self.hear(m.Ack), m.Ack) or ack.number < self._sent:
            pass

    def open(self, handle: int, document: str) -> None:
        """Open a document and take what there is of it."""
        self.say(m.Open(handle, document, b"\x00"))
        self.hear(m.Diff)

    def finish(self, handle: int) -> None:
        """Close a document, and see it closed by the other side."""
        self.say(m.Close(handle))
        self.hear(m.Close)


def documents(run: Run) -> Result:
    """Relay, opening and memory with ever more documents in the store."""
    result = Result(
        {
            "relay": Measure("relay of an update, p50, by documents in the store", "ms"),
            "open": Measure("opening a document, p50, by documents in the store", "ms"),
            "memory": Measure("memory of the gateway, by documents in the store", "MB"),
            "each": Measure("memory a document in the store", "kB"),
        }
    )
    rounds = run.rounds(VISIT_ROUNDS, 3)
    edits = author_bursts(0, LINES + rounds, 1)
    counts = SMALL_COUNTS if run.quick else COUNTS
    with ExitStack() as stack:
        servers = {}
        for count in counts:
            run.say(f"  writing {count:,} documents")
            server = Server(GATEWAY, run.folder / f"{count}", run.cores)
            servers[count] = stack.enter_context(server)
            start = memory_bytes(server.pid)
            with closing(Peer(server.port, 1)) as writer:
                for first in range(0, count, BATCH):
                    _create(writer, range(first, min(first + BATCH, count)), edits)
            until_quiet(server.pid)
            memory = memory_bytes(server.pid)
            result.add("memory", f"{count}", memory / MB)
            result.add("each", f"{count}", (memory - start) / count / 1e3)
            server.pause()
        visited = {count: Counter[int]() for count in counts}
        for number in range(rounds):
            run.say(f"  round {number + 1}")
            for count, server in servers.items():
                server.resume()
                _visits(result, server, count, number, visited[count], edits)
                server.pause()
    return result


def _create(writer: Peer, numbers: range, edits: Edits) -> None:
    spoken: list[m.Record] = []
    for handle, number in enumerate(numbers, 1):
        spoken.append(m.Open(handle, _name(number), b"\x00"))
        spoken += [m.Update(handle, edits[line][0]) for line in range(LINES)]
    writer.write(*spoken)
    writer.say(*[m.Close(handle) for handle in range(1, len(numbers) + 1)])
    for _ in numbers:
        writer.hear(m.Close)


def _visits(
    result: Result, server: Server, count: int, number: int, visited: Counter[int], edits: Edits
) -> None:
    """Two peers open documents one by one; one writes the next edit, the other awaits it."""
    relays, openings = [], []
    numbers = random.Random(number).sample(range(count), min(VISITS, count))
    with closing(Peer(server.port, 2)) as writer, closing(Peer(server.port, 3)) as reader:
        for number in numbers:
            start = time.perf_counter()
            reader.open(1, _name(number))
            openings.append(time.perf_counter() - start)
            writer.open(1, _name(number))
            start = time.perf_counter()
            writer.say(m.Update(1, edits[LINES + visited[number]][0]))
            reader.hear(m.Update)
            relays.append(time.perf_counter() - start)
            visited[number] += 1
            reader.finish(1)
            writer.finish(1)
    result.add("relay", f"{count}", percentile(relays, 0.5) * 1_000)
    result.add("open", f"{count}", percentile(openings, 0.5) * 1_000)


def _name(number: int) -> str:
    return f"orders/{number:06}"


def subscriptions(run: Run) -> Result:
    """One document that 50 peers have open; they subscribe to others of its collection."""
    every = PEERS * SUBSCRIPTIONS_EACH
    cases = {
        "none": None,
        "by value": '{{"station": "{}"}}',
        "by range": '{{"table": {{"$gt": {}}}}}',
    }
    result = Result(
        {
            "relay": Measure(f"fan-out to {PEERS} mesh peers, {every:,} subscriptions, p50", "ms"),
            "cpu": Measure("processor time an update, the same", "ms"),
            "added": Measure("fan-out beside that without subscriptions, p50", "x"),
            "added-cpu": Measure("processor time beside that without subscriptions", "x"),
        }
    )
    with Server(GATEWAY, run.folder / GATEWAY.name, run.cores) as server:
        for number in range(run.rounds(ROUNDS, 3)):
            run.say(f"  round {number + 1}")
            base = 0.0, 0.0
            for case, selector in cases.items():
                relay, cpu = _subscribed(server, f"orders/{number}-{case}", selector)
                base = base if selector else (relay, cpu)
                result.add("relay", case, relay)
                result.add("cpu", case, cpu)
                if selector:
                    result.add("added", case, relay / base[0])
                    result.add("added-cpu", case, cpu / base[1])
    return result


def _subscribed(server: Server, document: str, selector: str | None) -> tuple[float, float]:
    edits = author_bursts(0, SAMPLES + WARM_SAMPLES, 1)
    with ExitStack() as stack:
        peers = [stack.enter_context(closing(Peer(server.port, n))) for n in range(PEERS + 1)]
        for number, peer in enumerate(peers):
            peer.open(1, document)
            if selector and number:
                values = range(number * SUBSCRIPTIONS_EACH, (number + 1) * SUBSCRIPTIONS_EACH)
                peer.say(
                    *[
                        m.Subscribe(index, "orders", selector.format(1_000 + value))
                        for index, value in enumerate(values)
                    ]
                )
        for peer in peers:
            peer.say(m.Ping(1))
            peer.hear(m.Pong)
            peer.raw.socket.setblocking(False)
        until_quiet(server.pid, 1.0)
        messages = [
            (frame(record(m.encode(m.Update(1, burst[0])))), mark(0, number))
            for number, burst in enumerate(edits)
        ]
        writer, *readers = (peer.raw.socket for peer in peers)
        arrivals(writer, readers, messages[:WARM_SAMPLES], PAUSE_SECONDS)
        cpu = cpu_seconds(server.pid)
        times = arrivals(writer, readers, messages[WARM_SAMPLES:], PAUSE_SECONDS)
        cpu = cpu_seconds(server.pid) - cpu
    return percentile(times, 0.5) * 1_000, cpu / SAMPLES * 1_000


def small_peer(run: Run) -> Result:
    """What is sent to a peer that subscribed to a hundredth, and to one that wants all."""
    result = Result(
        {
            "received": Measure(f"received of {SMALL_PEER_DOCUMENTS:,} documents", "kB"),
            "share": Measure("received by who wants a hundredth, of that of who wants all", "%"),
        }
    )
    few = SMALL_PEER_DOCUMENTS // SMALL_PEER_SHARE
    folder = run.folder / GATEWAY.name
    _fill(folder / "data", few)
    with Server(GATEWAY, folder, run.cores) as server:
        small = _receives(server.port, '{"station": "grill"}', few)
        large = _receives(server.port, "", SMALL_PEER_DOCUMENTS)
    result.add("received", "a hundredth", small / 1e3)
    result.add("received", "all", large / 1e3)
    result.add("share", GATEWAY.name, small / large * 100)
    return result


def _fill(folder: Path, few: int) -> None:
    changes = []
    for number in range(SMALL_PEER_DOCUMENTS):
        author = Author(number + 1)
        author.set("station", "grill" if number < few else "bar")
        author.set("note", "x" * 200)
        changes.append(Change(_name(number), author.whole(), ""))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with closing(SqliteStore.open(folder)) as store:
        store.append(changes)


def _receives(port: int, selector: str, expected: int) -> int:
    """Bytes received until this many documents have come."""
    with closing(Peer(port, expected)) as peer:
        peer.say(m.Subscribe(1, "orders", selector))
        have = 0
        while have < expected:
            heard = peer.hear(m.Open, m.Diff)
            if isinstance(heard, m.Open):
                peer.say(
                    m.Open(heard.handle, heard.document, b"\x00"),
                    m.Diff(heard.handle, 0, b"", b"\x00\x00"),
                )
            elif isinstance(heard, m.Diff) and len(heard.update) > 2:
                have += 1
        return peer.raw.received_bytes
