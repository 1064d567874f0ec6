"""Memory: at the start, of idle connections, of documents that are open."""

import time
from dataclasses import replace

from tests.bench.bench import Attempt, Measure, Result, Run
from tests.bench.load import Crowd, work
from tests.bench.processes import memory_bytes, tree, until_quiet
from tests.bench.servers import GATEWAY, Kind, Server

CONNECTIONS = 1_000
ROOMS = 50
EDITS = 10
ROUNDS = 3
# After this long without work a server holds what it needs.
CALM_SECONDS = 2.0
MB = 1e6
PAGES = replace(
    GATEWAY,
    name="gateway-with-pages",
    command=lambda port, folder: [
        *[word for word in GATEWAY.command(port, folder) if word != "--no-pages"],
        "--pages-port",
        "0",
    ],
)


def memory(run: Run) -> Result:
    """Every figure from a process of its own, which held nothing before."""
    result = Result(
        {
            "start": Measure("memory at the start", "MB"),
            "pages": Measure("memory of the page process beside it", "MB"),
            "idle": Measure(f"memory of {CONNECTIONS:,} idle connections in {ROOMS} rooms", "MB"),
            "document": Measure(f"memory of a document of {EDITS} edits with one client", "kB"),
        }
    )
    for number in range(run.rounds(ROUNDS)):
        for kind in run.kinds:
            run.say(f"  round {number + 1}: {kind.title}")
            _measure(run, result, kind, number)
        with Server(PAGES, run.folder / f"pages-{number}", run.cores) as server:
            time.sleep(CALM_SECONDS)
            for child in tree(server.pid)[1:]:
                result.add("pages", GATEWAY.name, memory_bytes(child) / MB)
    return result


def _measure(run: Run, result: Result, kind: Kind, number: int) -> None:
    connections = 0
    with (
        Server(kind, run.folder / f"{kind.name}-{number}", run.cores) as server,
        Attempt(server, result),
    ):
        time.sleep(CALM_SECONDS)
        start = memory_bytes(server.pid)
        result.add("start", kind.name, start / MB)
        with Crowd(server, "idle", ROOMS, CONNECTIONS // ROOMS):
            until_quiet(server.pid, CALM_SECONDS)
            connections = memory_bytes(server.pid) - start
        result.add("idle", kind.name, connections / MB)
    if not kind.stores:
        return
    with (
        Server(kind, run.folder / f"{kind.name}-{number}-documents", run.cores) as server,
        Attempt(server, result),
    ):
        time.sleep(CALM_SECONDS)
        start = memory_bytes(server.pid)
        with Crowd(server, "document", CONNECTIONS, 1) as crowd:
            crowd.say(work(1, EDITS, 1))
            until_quiet(server.pid, CALM_SECONDS, 60.0)
            documents = memory_bytes(server.pid) - start - connections
        result.add("document", kind.name, documents / (CONNECTIONS - ROOMS) / 1e3)
