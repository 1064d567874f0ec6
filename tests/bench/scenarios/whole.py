"""Whole documents: joining one of many edits, and having it again after kill -9."""

import shutil
from contextlib import ExitStack
from pathlib import Path

from pycrdt import Doc, Map

from tests.bench.bench import Attempt, Measure, Result, Run, interleaved
from tests.bench.load import Crowd, Work, mark, work
from tests.bench.processes import until_quiet
from tests.bench.servers import Server
from tests.bench.wire import fetch

SIZES = (10_000, 100_000)
AUTHORS = 2
BURST = 50
WINDOW = 4
JOINS = 11
RESTARTS = 7
# Hocuspocus puts storing off for up to 10 s.
STORE_SECONDS = 20.0
STORE_LIMIT_SECONDS = 60.0
NO_SOCKETS = shutil.ignore_patterns("*.sock")


def whole(run: Run) -> Result:
    """Join, then kill and restart, each from the same data folder as it was killed with."""
    result = Result({f"join-{size}": Measure(f"join of {size:,} edits", "ms") for size in SIZES})
    result.measures["restart"] = Measure(f"kill -9 until {SIZES[-1]:,} edits are back", "s")
    loads = {size: work(AUTHORS, size // AUTHORS // BURST, BURST) for size in SIZES}
    with ExitStack() as stack:
        servers: list[Server] = []
        behind: list[Server] = []
        for kind in run.stored():
            run.say(f"  filling {kind.title}")
            server = stack.enter_context(Server(kind, run.folder / kind.name, run.cores))
            with Attempt(server, result):
                for size, load in loads.items():
                    with Crowd(server, f"whole-{size}", 1, AUTHORS) as crowd:
                        crowd.deliver(load, WINDOW)
                servers.append(server)
                if not until_quiet(server.pid, STORE_SECONDS, STORE_LIMIT_SECONDS):
                    behind.append(server)
        for server in servers:
            with Attempt(server, result):
                # Somebody is there, so that the document stays in memory.
                for size, load in loads.items():
                    stack.enter_context(Crowd(server, f"whole-{size}", 1, 1))
                    _join(server, size, load)
        for _, attempt in interleaved(run, result, servers, run.rounds(JOINS, 5)):
            with attempt as server:
                for size, load in loads.items():
                    result.add(f"join-{size}", server.kind.name, _join(server, size, load) * 1_000)
        for server in behind:
            result.notes[server.kind.name] = (
                f"had not stored {SIZES[-1]:,} edits {STORE_LIMIT_SECONDS:.0f} s after it had"
                " relayed them, so its restart was not measured"
            )
            servers.remove(server)
        _restarts(run, result, servers, loads[SIZES[-1]])
    return result


def _join(server: Server, size: int, load: Work) -> float:
    marks = [mark(author, len(bursts) - 1) for author, bursts in enumerate(load.bursts)]
    seconds, updates = fetch(server, server.kind.dialect, f"whole-{size}-0", marks)
    doc: Doc = Doc()
    for update in updates:
        doc.apply_update(update)
    found = len(doc.get("lines", type=Map))
    assert found == size, f"{found:,} of {size:,} edits came"
    return seconds


def _restarts(run: Run, result: Result, servers: list[Server], load: Work) -> None:
    for server in servers:
        server.kill()
        shutil.copytree(server.folder, _kept(server), ignore=NO_SOCKETS)
    for number in range(run.rounds(RESTARTS, 3)):
        for server in servers:
            run.say(f"  restart {number + 1}: {server.kind.title}")
            shutil.rmtree(server.folder)
            shutil.copytree(_kept(server), server.folder)
            server.launch()
            result.add("restart", server.kind.name, _join(server, SIZES[-1], load))
            server.kill()


def _kept(server: Server) -> Path:
    return server.folder.with_suffix(".kept")
