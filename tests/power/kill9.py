"""kill -9 under load: ``python -m tests.power.kill9 --kills 200 --seed S --json``.

A child appends to one store as fast as it can and says what was acknowledged; it is killed
at a random moment. The next one goes on with the same store, which must open as it is and
hold everything that was ever acknowledged. Every other store relays to a cloud too: there, what
was not sent has to wait.
"""

import argparse
import json
import os
import random
import signal
import struct
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from gateway.adapters import sqlite_outbox, sqlite_store
from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.errors import GatewayError
from tests.power import workload

# The store is begun anew now and then, so that checking all of it stays quick.
KILLS_OF_A_STORE = 20
# From the first acknowledgement to the kill; spans several commits, a fold, a compaction.
MOST_SECONDS = 0.05
# A relaying child sends everything at this rate, in commits.
COMMITS_TO_SEND = 5
# Up to where it is acknowledged, and up to where it may have been sent.
_SAID = struct.Struct(">II")


@dataclass
class Result:
    """What a campaign found."""

    kills: int = 0
    acked: int = 0
    lost: int = 0
    unopened: list[str] = field(default_factory=list)


def child(folder: Path, seed: int, first: int, say: int, *, relays: bool) -> None:
    """Append for ever, numbered from ``first``; says how far it is acknowledged."""
    sqlite_store.SWEEP_BYTES = workload.SWEEP_BYTES
    sqlite_outbox.MARK_ROWS = workload.MARK_ROWS
    sqlite_outbox.MARK_ALONE_ROWS = workload.MARK_ALONE_ROWS
    store = workload.relaying(folder) if relays else SqliteStore.open(folder)
    chance, sending = random.Random(seed << 32 | first), 0
    for turn in count():
        group = [workload.change(seed, first + i) for i in range(chance.choice((1, 1, 5, 50)))]
        store.append(group)
        first += len(group)
        os.write(say, _SAID.pack(first, sending))
        if relays:
            workload.send_some(store, chance)
        if relays and turn % COMMITS_TO_SEND == COMMITS_TO_SEND - 1:
            sending = first
            os.write(say, _SAID.pack(first, sending))
            workload.send_all(store)
        if turn % 8 == 7:
            workload.compact(store, chance)


def kill_one(
    folder: Path, seed: int, first: int, chance: random.Random, *, relays: bool
) -> tuple[int, int]:
    """Start a child, kill it at some moment; up to where it had acknowledged, and sent."""
    hear, say = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(hear)
        try:
            child(folder, seed, first, say, relays=relays)
        finally:
            os._exit(1)
    os.close(say)
    with os.fdopen(hear, "rb") as acks:
        heard = acks.read(_SAID.size)
        assert heard, "the child died by itself"
        # What a random wait hits is the point.
        time.sleep(chance.uniform(0, MOST_SECONDS))
        os.kill(process, signal.SIGKILL)
        heard += acks.read()
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    acked, sending = _SAID.unpack(heard[-_SAID.size :])
    return acked, sending


def check(folder: Path, seed: int, acked: set[int], sent: int, *, relays: bool) -> tuple[int, int]:
    """How many acknowledged updates are missing or do not wait, and the first number not in use.

    Of the group that was not acknowledged any part may be there: what the log holds of it
    is taken.
    """
    with closing(SqliteStore.open(folder)) as store:
        recovered = store.status().recovered
        assert not recovered, recovered
        # What was merged is a second time in a snapshot.
        found = workload.held(store, seed, in_order=not relays)
        lost = acked - found
        if relays:
            lost |= acked & workload.unsent(store, seed, sent, max(acked, default=-1) + 1)
    return len(lost), max(found, default=-1) + 1


def campaign(kills: int, seed: int, base: Path) -> Result:
    """Kill ``kills`` children."""
    result, chance, relays = Result(), random.Random(seed), False
    while result.kills < kills:
        folder, first, acked, sent = base / f"store-{result.kills}", 0, set[int](), 0
        relays = not relays
        for _ in range(min(KILLS_OF_A_STORE, kills - result.kills)):
            upto, sending = kill_one(folder, seed, first, chance, relays=relays)
            new = range(first, upto)
            acked.update(new)
            sent = max(sent, sending)
            result.kills += 1
            result.acked += len(new)
            try:
                lost, first = check(folder, seed, acked, sent, relays=relays)
            except (AssertionError, GatewayError) as error:
                result.unopened.append(str(error))
                break
            result.lost += lost
    return result


def main() -> None:
    """Run a campaign; the exit code says whether anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill9-") as name:
        result = campaign(options.kills, options.seed, Path(name))
    if options.json:
        print(json.dumps(vars(result)))
    else:
        print(
            f"{result.kills} kills, {result.acked} updates acked, {result.lost} of them lost,"
            f" {len(result.unopened)} databases that did not open"
        )
    raise SystemExit(bool(result.lost or result.unopened))


if __name__ == "__main__":
    main()
