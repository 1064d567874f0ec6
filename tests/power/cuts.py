"""Power cuts around the real store: ``python -m tests.power.cuts --cuts N --seed S --json``.

The store does its work below the shim, which records every write and sync. From a record
come images of the disk as a power cut at some moment may have left it (disk.py); each is
opened by the real store, which must hold every update it had acknowledged by then.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.adapters import sqlite_file
from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.errors import GatewayError
from tests.power import shim, workload
from tests.power.disk import Disk, Image
from tests.power.shim import Operation

MEMORY = Path("/dev/shm")  # a tmpfs, where the folders can be written at no cost to a card
CUTS_OF_A_TRACE = 600
CUTS_OF_RECOVERY = 150
CUTS_OF_FAILING_SYNCS = 300
CUTS_OF_A_RELAY = 300
TRACES_OF_FAILING_SYNCS = 3
# Where recovery changes entries of the folder it is cut this often, each time differently.
CUTS_AROUND_ENTRIES = 16
ENTRIES = "crudxm"
# Database pages overwritten before the store is rebuilt: the header, and one with rows.
DAMAGED_PAGES = (0, 9)


@dataclass
class Result:
    """What a campaign found."""

    cuts: int = 0
    acked: int = 0
    lost: int = 0
    cuts_with_loss: int = 0
    unopened: list[str] = field(default_factory=list)
    traces: dict[str, int] = field(default_factory=dict)


Check = Callable[[Path, list[str]], int]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a campaign, in memory where there is such a place."""
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="cuts-", dir=place) as name:
        yield Path(name)


def cut(
    disk: Disk, trace: Path, cuts: int, seed: int, work: Path, check: Check, around: int = 0
) -> Result:
    """Cut a trace ``cuts`` times, evenly over its operations, and check each image.

    After each change of an entry and each mark it is cut ``around`` times more.
    """
    steps = list(shim.operations(trace))
    places = sorted(
        [round(i * len(steps) / cuts) for i in range(1, cuts + 1)]
        + [i + 1 for i, step in enumerate(steps) if step.kind in ENTRIES] * around
    )
    result, marks, done = Result(traces={trace.name: len(steps)}), list[str](), 0
    for number, place in enumerate(places):
        for step in steps[done:place]:
            _do(disk, step, marks)
        done = place
        image = disk.after_cut(random.Random(seed << 32 | number))
        _put(image, work)
        try:
            lost = check(work, marks)
        except (AssertionError, GatewayError) as error:
            result.unopened.append(f"{trace.name}, cut {number} after {place}: {error}")
        else:
            result.lost += lost
            result.cuts_with_loss += lost > 0
        result.cuts += 1
        result.acked += _acked(marks)[0]
    return result


def _do(disk: Disk, step: Operation, marks: list[str]) -> None:
    if step.kind == "m":
        marks.append(step.data.decode())
    else:
        disk.do(step)


def _put(image: Image, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name, content in image.items():
        path = work / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _acked(marks: list[str]) -> tuple[int, int]:
    """How many updates and refusals were acknowledged."""
    acks = [mark.split() for mark in marks if mark.startswith("acked")]
    return (int(acks[-1][1]), int(acks[-1][2])) if acks else (0, 0)


def check_load(seed: int, *, in_order: bool = True) -> Check:
    """Everything acknowledged is there, and nothing had to be set aside."""

    def check(folder: Path, marks: list[str]) -> int:
        acked, refused = _acked(marks)
        with closing(SqliteStore.open(folder)) as store:
            recovered = store.status().recovered
            assert not recovered, recovered
            found = workload.held(store, seed, in_order=in_order)
            quarantined = len(store.quarantined())
        assert not any(folder.glob("damaged-*"))
        backups = [int(mark.split()[1]) for mark in marks if mark.startswith("backup")]
        assert (folder / workload.BACKUP).exists() or not backups, "the backup is gone"
        if (folder / workload.BACKUP).exists():
            what = sqlite_file.fault(folder / workload.BACKUP)
            assert not what, f"the backup is not whole: {what}"
        return len(set(range(acked)) - found) + max(0, refused - quarantined)

    return check


def check_relay(seed: int) -> Check:
    """``check_load``, and what was not sent to the cloud waits for it."""

    def check(folder: Path, marks: list[str]) -> int:
        with closing(SqliteStore.open(folder)) as store:
            recovered = store.status().recovered
            assert not recovered, recovered
            found = workload.held(store, seed, in_order=False)
            since = [int(mark.split()[1]) for mark in marks if mark.startswith("sending")]
            acked, _ = _acked(marks)
            unsent = workload.unsent(store, seed, since[-1] if since else 0, acked)
        return len((set(range(acked)) - found) | unsent)

    return check


def check_rebuild(seed: int, expected: set[int]) -> Check:
    """A rebuilding that was cut loses nothing that one in peace finds."""

    def check(folder: Path, marks: list[str]) -> int:
        with closing(SqliteStore.open(folder)) as store:
            return len(expected - workload.held(store, seed, in_order=False))

    return check


def check_restore(seed: int, before: set[int], backup: set[int]) -> Check:
    """Either all of what was there or all of the backup; the backup once it was said."""

    def check(folder: Path, marks: list[str]) -> int:
        with closing(SqliteStore.open(folder)) as store:
            recovered = store.status().recovered
            assert not recovered, recovered
            found = workload.held(store, seed)
        if marks:
            return len(backup ^ found)
        return min(len(backup ^ found), len(before ^ found))

    return check


def load_cuts(base: Path, library: Path, cuts: int, seed: int, scenario: str = "load") -> Result:
    """Cut the daily work of a store."""
    folder, trace = base / f"{scenario}-{seed}", base / f"{scenario}-{seed}.trace"
    folder.mkdir()
    disk = Disk(folder)
    shim.run(library, "tests.power.workload", scenario, folder, trace, seed)
    # What a failed sync left unclear is written a second time.
    check = check_load(seed, in_order=scenario != "failing-syncs")
    return cut(disk, trace, cuts, seed, base / "image", check)


def relay_cuts(base: Path, library: Path, cuts: int, seed: int) -> Result:
    """Cut a store whose changes go to a cloud now and then."""
    folder, trace = base / f"relay-{seed}", base / f"relay-{seed}.trace"
    folder.mkdir()
    disk = Disk(folder)
    shim.run(library, "tests.power.workload", "relay", folder, trace, seed)
    return cut(disk, trace, cuts, seed, base / "image", check_relay(seed))


def rebuild_cuts(base: Path, library: Path, cuts: int, seed: int) -> Result:
    """Cut the rebuilding of a damaged store."""
    folder, trace = base / f"rebuild-{seed}", base / f"rebuild-{seed}.trace"
    before = _made(folder, seed)
    with (folder / sqlite_file.FILE_NAME).open("r+b") as file:
        for page in DAMAGED_PAGES:
            file.seek(page * sqlite_file.PAGE_BYTES)
            file.write(random.Random(seed).randbytes(sqlite_file.PAGE_BYTES))
    disk = Disk(folder)
    shim.run(library, "tests.power.workload", "rebuild", folder, trace, seed)
    with closing(SqliteStore.open(folder)) as store:
        expected = workload.held(store, seed, in_order=False)
    assert expected and expected <= before
    return cut(
        disk, trace, cuts, seed, base / "image", check_rebuild(seed, expected), CUTS_AROUND_ENTRIES
    )


def restore_cuts(base: Path, library: Path, cuts: int, seed: int) -> Result:
    """Cut the restoring of a backup."""
    home = base / f"restore-{seed}"
    folder, trace = home / "store", base / f"restore-{seed}.trace"
    home.mkdir()
    before = _made(folder, seed)
    shutil.copyfile(folder / workload.BACKUP, home / "backup.db")
    with closing(SqliteStore.open(home / "other")) as store:
        store.close()
    shutil.copyfile(home / "backup.db", home / "other" / sqlite_file.FILE_NAME)
    with closing(SqliteStore.open(home / "other")) as store:
        backup = workload.held(store, seed)
    assert backup and backup < before
    disk = Disk(folder)
    shim.run(library, "tests.power.workload", "restore", folder, trace, seed)
    return cut(
        disk,
        trace,
        cuts,
        seed,
        base / "image",
        check_restore(seed, before, backup),
        CUTS_AROUND_ENTRIES,
    )


def _made(folder: Path, seed: int) -> set[int]:
    """Fill a store in peace; what it holds."""
    workload.load(folder, seed, mark=lambda text: None)
    with closing(SqliteStore.open(folder)) as store:
        return workload.held(store, seed)


def wear(base: Path, library: Path, group: int, scenario: str = "wear") -> float:
    """Bytes written to the disk for each byte of small updates, so many in one commit."""
    trace = base / f"{scenario}-{group}.trace"
    shim.run(library, "tests.power.workload", scenario, trace.with_suffix(""), trace, group)
    written = sum(len(step.data) for step in shim.operations(trace) if step.kind == "w")
    return written / (workload.WEAR_UPDATES * workload.WEAR_BYTES)


def campaign(cuts: int, seed: int) -> Result:
    """At least ``cuts`` cuts, over as many traces as that takes."""
    total = Result()
    with scratch() as base:
        library = shim.build(base)
        for make in (rebuild_cuts, restore_cuts):
            _add(total, make(base, library, CUTS_OF_RECOVERY, seed))
        _add(total, relay_cuts(base, library, CUTS_OF_A_RELAY, seed))
        for other in range(seed, seed + TRACES_OF_FAILING_SYNCS):
            _add(total, load_cuts(base, library, CUTS_OF_FAILING_SYNCS, other, "failing-syncs"))
        while total.cuts < cuts:
            _add(total, load_cuts(base, library, CUTS_OF_A_TRACE, seed))
            seed += 1
    return total


def _add(total: Result, result: Result) -> None:
    total.cuts += result.cuts
    total.acked += result.acked
    total.lost += result.lost
    total.cuts_with_loss += result.cuts_with_loss
    total.unopened += result.unopened
    total.traces |= result.traces


def main() -> None:
    """Run a campaign; the exit code says whether anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = campaign(options.cuts, options.seed)
    if options.json:
        print(json.dumps(vars(result)))
    else:
        print(f"{result.cuts} cuts, {result.lost} acked updates lost, {len(result.unopened)} bad")
        print(*result.unopened[:20], sep="\n")
    raise SystemExit(bool(result.lost or result.unopened))


if __name__ == "__main__":
    main()
