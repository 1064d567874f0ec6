"""Durability: what is gone after kill -9, how often data is forced to the disk, idle writes."""

import shutil
from contextlib import ExitStack

from pycrdt import Doc, Map

from tests.bench.bench import Measure, Result, Run
from tests.bench.load import Crowd, work
from tests.bench.processes import count_syncs, until_quiet, written_bytes
from tests.bench.servers import Server, running
from tests.bench.wire import collect

UPDATES = 1_000
PAUSE_SECONDS = 0.005
ROUNDS = 3
# Long enough for every server to read what it has and to send it.
READ_SECONDS = 4.0
IDLE_SECONDS = 90.0
IDLE_CLIENTS = 10
DAY_SECONDS = 86_400
MB = 1e6


def lost(run: Run) -> Result:
    """200 updates a second to one reader, then kill -9: what it had been given and is gone."""
    result = Result({"lost": Measure("relayed but gone after kill -9", "%")})
    edits = [burst[0] for burst in work(1, UPDATES, 1).bursts[0]]
    for number in range(run.rounds(ROUNDS)):
        for kind in run.stored():
            run.say(f"  round {number + 1}: {kind.title}")
            with Server(kind, run.folder / f"{kind.name}-{number}", run.cores) as server:
                with Crowd(server, "lost", 1, 2) as crowd:
                    crowd.latencies(edits, PAUSE_SECONDS)
                    server.kill()
                server.start()
                found = _edits(collect(server, kind.dialect, "lost-0", READ_SECONDS))
                result.add("lost", kind.name, (UPDATES - found) / UPDATES * 100)
    return result


def syncs(run: Run) -> Result:
    """The same updates under strace, which counts fsync and its like."""
    result = Result({"syncs": Measure("times data was forced to the disk, 1,000 updates", "")})
    if shutil.which("strace") is None:
        result.failures["all"] = "not measured: strace is not installed"
        return result
    edits = [burst[0] for burst in work(1, UPDATES, 1).bursts[0]]
    for kind in run.stored():
        run.say(f"  {kind.title}")
        server = Server(kind, run.folder / kind.name, run.cores)
        server.start(traced=True)
        try:
            with Crowd(server, "syncs", 1, 2) as crowd:
                until_quiet(server.pid)
                before = count_syncs(server.trace)
                crowd.latencies(edits, PAUSE_SECONDS)
                until_quiet(server.pid)
                result.add("syncs", kind.name, count_syncs(server.trace) - before)
        finally:
            server.kill()
    return result


def idle(run: Run) -> Result:
    """Nobody writes; every server with some clients that stay. All at the same time."""
    result = Result({"idle": Measure("bytes written a day with nothing to do", "MB")})
    seconds = IDLE_SECONDS / 3 if run.quick else IDLE_SECONDS
    with running(run.stored(), run.folder, run.cores) as servers, ExitStack() as stack:
        crowds = []
        for server in servers:
            crowd = stack.enter_context(Crowd(server, "idle", 1, IDLE_CLIENTS))
            crowd.deliver(work(IDLE_CLIENTS, 20, 1), 1)
            crowds.append(crowd)
        for server in servers:
            until_quiet(server.pid, 11.0, 60.0)
        before = [written_bytes(server.pid) for server in servers]
        step = 0.5
        for _ in range(int(seconds / step / len(crowds))):
            for crowd in crowds:
                crowd.idle(step)
        for server, old in zip(servers, before, strict=True):
            written = written_bytes(server.pid) - old
            result.add("idle", server.kind.name, written * DAY_SECONDS / seconds / MB)
    return result


def _edits(updates: list[bytes]) -> int:
    doc: Doc = Doc()
    for update in updates:
        doc.apply_update(update)
    return len(doc.get("lines", type=Map))
