"""How long a change takes from one device of a store to another, through its gateway."""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pycrdt import Doc, Map

from gateway.core import messages as m
from tests.bench.stats import percentile
from tests.support.sealed import Member, SealedClient

# As many documents as a busy hour has; each is also to be shown at the cloud.
DOCUMENTS = 50
# Two gateways take turns of this length, so that what disturbs the machine disturbs both; what one
# put off while it was stopped is done at the begin of its turn, which is not measured.
TURN_SECONDS, BEGIN_SECONDS = 0.5, 0.1
# Changes follow each other like this, so that none waits for another.
PAUSE_SECONDS = 0.002
WRITER, READER = 0xA11, 0xA12
FIRST_CLIENT = 9_000
EMPTY_VECTOR, NOTHING = b"\x00", b"\x00\x00"


class Running(Protocol):
    """A gateway process."""

    @property
    def pid(self) -> int:
        """Its process."""


@dataclass(frozen=True)
class Latency:
    """``times``: seconds, one a change."""

    times: list[float]

    @property
    def p50_ms(self) -> float:
        """Half of all took no longer."""
        return percentile(self.times, 0.5) * 1_000

    @property
    def p99_ms(self) -> float:
        """All but a hundredth took no longer."""
        return percentile(self.times, 0.99) * 1_000


class Devices:
    """A device that writes orders and one that shows them, linked to the claimed gateway in
    ``folder`` for as long as this lives.
    """

    def __init__(self, folder: Path, port: int) -> None:
        # Fresh, as of an app that was started anew.
        client_id = FIRST_CLIENT + int.from_bytes(os.urandom(3), "big")
        self._docs: list[Doc] = [Doc(client_id=client_id) for _ in range(DOCUMENTS)]
        self._number = 0
        self._writer = SealedClient(port, Member(folder, WRITER))
        self._reader = SealedClient(port, Member(folder, READER))
        for handle in range(DOCUMENTS):
            opens = m.Open(handle + 1, f"orders/latency-{handle}", EMPTY_VECTOR)
            for client in (self._writer, self._reader):
                client.say(opens)
                _answer(client, handle + 1)

    def close(self) -> None:
        """Let go of the gateway."""
        self._writer.close()
        self._reader.close()

    def latency(self, seconds: float) -> Latency:
        """Of changes made in so many seconds."""
        times: list[float] = []
        for client in (self._writer, self._reader):
            # Who only listens has to say that it is there; the gateway asks nobody it talks to.
            client.say(m.Ping(0))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            times.append(self._change())
            time.sleep(PAUSE_SECONDS)
        return Latency(times)

    def _change(self) -> float:
        self._number += 1
        handle = self._number % DOCUMENTS
        doc = self._docs[handle]
        before = doc.get_state()
        doc.get("fields", type=Map)["status"] = str(self._number)
        update = m.Update(handle + 1, doc.get_update(before))
        for client in (self._writer, self._reader):
            _idle(client)
        began = time.perf_counter()
        self._writer.say(update)
        while not any(isinstance(one, m.Update) for one in self._reader.hear()):
            pass
        return time.perf_counter() - began


def local_latency(folder: Path, port: int, seconds: float) -> Latency:
    """Of one gateway alone, for a look; figures of two of them are compared by ``interleaved``."""
    with closing(Devices(folder, port)) as devices:
        return devices.latency(seconds)


def interleaved(
    devices: Mapping[str, tuple[Running, Devices]], rounds: int, turns: int
) -> dict[str, list[Latency]]:
    """One ``Latency`` a round of each, made of so many turns.

    Only who is on its turn runs. All run afterwards.
    """
    found: dict[str, list[Latency]] = {name: [] for name in devices}
    for gateway, _ in devices.values():
        os.kill(gateway.pid, signal.SIGSTOP)
    try:
        for _ in range(rounds):
            times: dict[str, list[float]] = {name: [] for name in devices}
            for turn in range(turns):
                # Each begins as often as the others.
                for name in sorted(devices, reverse=bool(turn % 2)):
                    times[name] += _turn(*devices[name])
            for name, measured in times.items():
                found[name].append(Latency(measured))
    finally:
        for gateway, _ in devices.values():
            os.kill(gateway.pid, signal.SIGCONT)
    return found


def _turn(gateway: Running, devices: Devices) -> list[float]:
    os.kill(gateway.pid, signal.SIGCONT)
    devices.latency(BEGIN_SECONDS)
    times = devices.latency(TURN_SECONDS).times
    os.kill(gateway.pid, signal.SIGSTOP)
    return times


def _answer(client: SealedClient, handle: int) -> None:
    """Take what there is of a document, and say that we have nothing of it."""
    missing = {m.Open, m.Diff}
    while missing:
        for record in client.hear():
            missing.discard(type(record))
            if isinstance(record, m.Open):
                client.say(m.Diff(handle, 0, b"", NOTHING))


def _idle(client: SealedClient) -> None:
    """Take what came by itself: acknowledgements, questions whether we are there."""
    for record in client.heard():
        if isinstance(record, m.Ping):
            client.say(m.Pong(record.nonce))
