"""Does one bad client slow the others down? p99 of two honest clients, with and without.

``python -m tests.bench.fairness [--rounds N] [--json]``: undisturbed and disturbed rounds
alternate in one run, so the ratio holds on a noisy machine. The honest pair is in a
document of its own; the bad client does its worst in another.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.core import y_messages as y
from tests.core.edits import Author
from tests.support.gateway import GatewayProcess
from tests.support.raw import RawClient, frame

SAMPLES = 1_500
PAUSE_SECONDS = 0.001
ROOM = "/sync/bench/honest"
OTHER = "/sync/bench/bad"

Attack = Callable[[int], None]


class Pair:
    """Writer and reader in one document; ``p99`` in milliseconds of one round."""

    def __init__(self, port: int) -> None:
        self.writer, self.reader = RawClient(port, ROOM), RawClient(port, ROOM)
        self.author = Author(int.from_bytes(os.urandom(4), "big") + 1)
        for client in (self.writer, self.reader):
            client.send(y.step_1(b"\x00"))
            while not client.recv().startswith(b"\x00\x01"):
                pass

    def p99(self) -> float:
        times = []
        for number in range(SAMPLES):
            update = y.update(self.author.set("k", number))
            start = time.perf_counter()
            self.writer.send(update)
            while not self.reader.recv().startswith(b"\x00\x02"):
                pass
            times.append(time.perf_counter() - start)
            time.sleep(PAUSE_SECONDS)
        return sorted(times)[int(SAMPLES * 0.99)] * 1_000


def stalled(port: int) -> None:
    """Joins a busy document and never reads."""
    author = Author(7)
    client = RawClient(port, OTHER)
    client.send(y.step_1(b"\x00"))
    writer = RawClient(port, OTHER)
    while True:
        time.sleep(0.002)
        writer.send(y.update(author.set("k", os.urandom(512).hex())))


def malformed(port: int) -> None:
    """Connects, sends noise, is closed, comes back."""
    while True:
        time.sleep(0.002)
        client = RawClient(port, OTHER)
        with contextlib.suppress(OSError):
            client.send(b"\x00\x02" + os.urandom(200))
            client.until_closed()
        client.socket.close()


def flood(port: int) -> None:
    """Sends state vectors as fast as they go and never reads."""
    client = RawClient(port, OTHER)
    data = frame(y.step_1(b"\x00")) * 500
    while True:
        client.socket.sendall(data)


def heavy(port: int) -> None:
    """Sends sound updates of 200 kB, twenty a second."""
    author = Author(8)
    client = RawClient(port, OTHER)
    while True:
        time.sleep(0.05)
        client.send(y.update(author.set("k", "x" * 200_000)))


ATTACKS: dict[str, Attack] = {
    "stalled reader": stalled,
    "malformed, again and again": malformed,
    "flood of state vectors": flood,
    "heavy updates": heavy,
}


@contextlib.contextmanager
def attacking(name: str, port: int) -> Iterator[None]:
    """An attack in a process of its own, so that it does not slow the measuring down."""
    command = [sys.executable, "-m", "tests.bench.fairness", "--attack", name, "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Per attack the median p99 undisturbed and disturbed, and their ratio."""
    result = {}
    for name in ATTACKS:
        quiet, busy = [], []
        with tempfile.TemporaryDirectory() as folder, GatewayProcess(Path(folder) / "d") as gateway:
            pair = Pair(gateway.port)
            pair.p99()
            for _ in range(rounds):
                quiet.append(pair.p99())
                with attacking(name, gateway.port):
                    busy.append(pair.p99())
        low, high = sorted(quiet)[rounds // 2], sorted(busy)[rounds // 2]
        result[name] = {
            "quiet_ms": round(low, 2),
            "busy_ms": round(high, 2),
            "ratio": round(high / low, 2),
        }
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--attack", choices=ATTACKS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        # It stands for another machine: it must not take this one's processors away.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        ATTACKS[options.attack](options.port)
        return
    result = measure(options.rounds)
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
        return
    for name, row in result.items():
        sys.stdout.write(
            f"{name:28} p99 {row['quiet_ms']:6.2f} ms quiet, {row['busy_ms']:6.2f} ms disturbed,"
            f" ratio {row['ratio']:.2f}\n"
        )


if __name__ == "__main__":
    main()
