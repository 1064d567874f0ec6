"""./dev bench: the gateway and other relays, interleaved in one run on the same work.

Prints its progress on standard error and the table on standard output, or the result as
JSON. Servers are processes of their own with a data folder on a disk; nothing of what the
gateway does for durability is switched off.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.bench import Result, Run, Scenario
from tests.bench.machine import describe, file_system
from tests.bench.processes import Cores
from tests.bench.scenarios import (
    bluetooth,
    cloud,
    durability,
    hub,
    memory,
    mesh,
    own,
    partition,
    relay,
    texts,
    whole,
)
from tests.bench.servers import GATEWAY, KINDS, ROOT, Kind, NotInstalled

EX_USAGE = 64
EX_UNAVAILABLE = 69
# Not /tmp, which may be in memory.
FOLDER = Path("/var/tmp")
# Work of others a core above which a result is marked.
BUSY_LOAD = 1.5
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("fan-out", "one update to 10, 50, 200 clients", relay.fan_out),
        Scenario("throughput", "sustained deliveries, 1x20 and 50x4", relay.throughput),
        Scenario("whole", "joining large documents; kill -9 and back", whole.whole),
        Scenario("memory", "memory at the start, of connections, of documents", memory.memory),
        Scenario("lost", "what is gone after kill -9", durability.lost),
        Scenario("syncs", "how often data is forced to the disk", durability.syncs),
        Scenario("idle", "what is written with nothing to do", durability.idle),
        Scenario("texts", "long texts beside others", texts.texts),
        Scenario("subscriptions", "what subscriptions add to fan-out", own.subscriptions),
        Scenario("small-peer", "what a small peer is sent", own.small_peer),
        Scenario("mesh", "gateways among themselves", mesh.mesh),
        Scenario("long-partition", "ten minutes apart, sealed", partition.long, unasked=False),
        Scenario("bluetooth", "phones in the virtual Pi", bluetooth.bluetooth, unasked=False),
        Scenario("cloud-broken", "changes in the shop while the cloud is broken", cloud.broken),
        Scenario("hub", "a thousand stores at a hub", hub.hub, unasked=False),
        Scenario("documents", "100 to 100,000 documents", own.documents),
    )
}


def main() -> int:
    """Run what was chosen; returns the exit code."""
    options = _options()
    if options.render is not None:
        return _render(options.render)
    kinds = [KINDS[name] for name in options.servers]
    try:
        for kind in kinds:
            kind.check()
    except NotInstalled as error:
        _say(f"bench: {error}")
        return EX_UNAVAILABLE
    if file_system(options.folder) in MEMORY_FILE_SYSTEMS:
        _say(f"bench: {options.folder} is in memory, not on a disk; choose another with --folder")
        return EX_USAGE
    result = _run(options, kinds)
    if options.json:
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
    else:
        sys.stdout.write(report.table(result))
    return 0


def _render(files: Sequence[Path]) -> int:
    try:
        result = report.joined([json.loads(file.read_text()) for file in files])
    except (OSError, ValueError) as error:
        _say(f"bench: {error}")
        return EX_USAGE
    report.write(result, ROOT / "docs")
    return 0


def _run(options: argparse.Namespace, kinds: Sequence[Kind]) -> dict[str, Any]:
    """All chosen scenarios; what is found is written to ``--out`` after each."""
    cores = Cores(pin=not options.no_pin)
    cores.for_clients()
    began = time.monotonic()
    result: dict[str, Any] = {
        "machine": describe(options.folder, cores),
        "quick": options.quick,
        "servers": {kind.name: kind.title for kind in kinds},
        "scenarios": {},
    }
    for name in options.scenarios:
        scenario = SCENARIOS[name]
        _say(f"{_clock(began)} {scenario.name}: {scenario.title}")
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
            run = Run(
                kinds, Path(folder), cores, options.quick,
                lambda text: _say(f"{_clock(began)} {text}"),
            )  # fmt: skip
            load = os.getloadavg()[0]
            try:
                found = scenario.work(run)
            except (AssertionError, OSError) as error:
                found = Result(failures={"all": f"{error}"[:200]})
        for case, text in found.failures.items():
            _say(f"  {case} failed: {text}")
        if load > BUSY_LOAD * len(cores.all):
            found.notes["machine"] = f"busy with other work when this began, load {load:.1f}"
        result["scenarios"][name] = asdict(found)
        result["seconds"] = round(time.monotonic() - began)
        if options.out is not None:
            options.out.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument(
        "--servers", default=",".join(KINDS), help="comma-separated; default: all: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="about ten minutes: fewer rounds")
    parser.add_argument("--json", action="store_true", help="the whole result, not the table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there too")
    parser.add_argument("--no-pin", action="store_true", help="servers share all cores")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="for the data, on a disk; default %(default)s"
    )
    parser.add_argument(
        "--render", type=Path, metavar="FILE", nargs="+",
        help="run nothing: write docs/benchmarks.md and its pictures from JSON results; what a"
        " later one measured replaces what an earlier one did",
    )  # fmt: skip
    options = parser.parse_args()
    options.servers = [name for name in options.servers.split(",") if name]
    for chosen, known in ((options.scenarios, SCENARIOS), (options.servers, KINDS)):
        for name in chosen:
            if name not in known:
                parser.error(f"there is no {name!r}; known are: {', '.join(known)}")
    options.scenarios = options.scenarios or [
        name for name, scenario in SCENARIOS.items() if scenario.unasked
    ]
    if GATEWAY.name not in options.servers:
        options.servers.insert(0, GATEWAY.name)
    return options


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _clock(began: float) -> str:
    seconds = int(time.monotonic() - began)
    return f"{seconds // 60:3}:{seconds % 60:02}"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    os._exit(130)
