"""Do five peers agree in the end? Random edits and faults over the real gateway.

``python -m tests.campaign.converge [--operations N] [--seed N] [--json]``: three peers on the
mesh and two stock clients edit eight documents (text, maps, arrays, types inside types, presence,
subscriptions) while links are cut, also in the middle of a message, peers and the gateway
restart or are killed, and the gateway's wall clock jumps. Three times everybody comes back, and
JSON, state vector and fingerprint have to be equal on all peers, at the end in the gateway's
store too; after every kill -9 the store has to hold all that was acknowledged. The seed repeats the
edits and faults; what the operating system schedules in between differs.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pycrdt import Array, Doc, Map, Text

from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.document import Document
from gateway.core.facts import Span
from gateway.core.guard import inspect_update
from tests.campaign.clock import SteppedClock
from tests.campaign.edits import edit
from tests.campaign.replicas import MeshReplica, Replica, YReplica, clocks_of
from tests.support.gateway import GatewayProcess

DOCUMENTS = (*(f"orders/{number}" for number in range(6)), "menu/1", "notes/today")
SELECTORS = ("", '{"station": "grill"}', '{"n": {"$gt": 50}}', '{"status": {"$exists": true}}')
MOST_A_TURN = 12
QUIET_SECONDS = 60.0
CHECKPOINTS = 3
# Where one of the peers is cut, restarted, …: once in so many turns.
FAULTS = {
    "cut": 60, "cut in a message": 200, "peer restart": 250, "gateway restart": 1_500,
    "gateway killed": 1_000, "clock step": 400, "subscription": 80, "close and open": 150,
    "presence": 40, "large": 400,
}  # fmt: skip


class Campaign:
    """One run; ``counts`` says what happened."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.counts = Counter[str]()
        self._chance = random.Random(seed)
        self._ids = random.Random(seed + 1)
        self._clock = SteppedClock(folder)
        self._gateway = GatewayProcess(folder / "gateway", environment=self._clock.environment)
        self.replicas: list[Replica] = [
            *(MeshReplica(number, DOCUMENTS, self._fresh) for number in (1, 2, 3)),
            *(YReplica(number, DOCUMENTS, self._fresh) for number in (4, 5)),
        ]

    def run(self, operations: int, *, progress: bool) -> None:
        """All of it. Raises ``AssertionError`` with what is wrong."""
        self._gateway.start()
        try:
            step = max(1, operations // CHECKPOINTS)
            for until in [*range(step, operations, step), operations]:
                while self.counts["operations"] < until:
                    self._turn()
                    if progress:
                        self._show(operations)
                self._agree()
            self._gateway.stop()
            self._check_store(whole=True)
            log = self._gateway.log()
            assert "Traceback" not in log and "panic" not in log, log[-2_000:]
        finally:
            for replica in self.replicas:
                replica.drop()
            self._gateway.stop()

    @property
    def bytes(self) -> tuple[int, int]:
        """Sent and received by all peers."""
        sent = sum(replica.bytes[0] for replica in self.replicas)
        return sent, sum(replica.bytes[1] for replica in self.replicas)

    def _turn(self) -> None:
        chance = self._chance
        self.counts["turns"] += 1
        replica = chance.choice(self.replicas)
        for name, once_in in FAULTS.items():
            if chance.random() < 1 / once_in:
                self.counts[name] += 1
                self._fault(name, replica)
        if chance.random() < 0.3 and not replica.linked:
            replica.connect(self._gateway.port)
        count = chance.randint(1, MOST_A_TURN)
        edit(chance, replica.docs[chance.choice(DOCUMENTS)], count)
        replica.flush()
        self.counts["operations"] += count
        for other in self.replicas:
            if chance.random() < 0.5:
                other.pump()

    def _fault(self, name: str, replica: Replica) -> None:
        chance = self._chance
        mesh = replica if isinstance(replica, MeshReplica) else None
        match name:
            case "cut" | "cut in a message":
                replica.drop(in_a_message=name != "cut")
            case "peer restart":
                replica.restart()
            case "gateway restart":
                assert self._gateway.stop() == 0
                self._gateway.start()
            case "gateway killed":
                for one in self.replicas:
                    one.pump()
                self._gateway.kill()
                self._check_store(whole=False)
                self._gateway.start()
            case "clock step":
                self._clock.step(chance.choice((-86_400 * 400, -3_600, 3_600, 86_400 * 4_000)))
            case "subscription" if mesh:
                number = chance.randrange(4)
                if chance.random() < 0.2:
                    mesh.unsubscribe(number)
                else:
                    mesh.subscribe(number, "orders", chance.choice(SELECTORS))
            case "close and open" if mesh:
                document = chance.choice(DOCUMENTS)
                mesh.release(document)
                if chance.random() < 0.5:
                    mesh.reopen(document)
            case "presence":
                replica.show(str(chance.randrange(1_000)))
            case "large":
                note = replica.docs[DOCUMENTS[-1]].get("fields", type=Map)
                note["large"] = "y" * chance.randrange(60_000)

    def _agree(self) -> None:
        """Who is away comes back, who closed something opens it again; wait until all agree.

        Links that are there stay: nothing but what went over them may make them equal.
        """
        for replica in self.replicas:
            if not replica.linked:
                replica.connect(self._gateway.port)
            if isinstance(replica, MeshReplica):
                for name in DOCUMENTS:
                    replica.reopen(name)
        deadline = time.monotonic() + QUIET_SECONDS
        while differing := self._differing():
            if time.monotonic() > deadline:
                raise AssertionError(f"not equal after {QUIET_SECONDS:.0f} s: {differing}")
            for replica in self.replicas:
                replica.pump()
                assert replica.linked or time.monotonic() < deadline
                if not replica.linked:
                    replica.connect(self._gateway.port)
            time.sleep(0.002)
        contents = [{name: _content(doc) for name, doc in r.docs.items()} for r in self.replicas]
        assert all(content == contents[0] for content in contents), "equal states, unequal JSON"
        self.counts["checkpoints"] += 1

    def _differing(self) -> list[str]:
        first = self.replicas[0]
        return [
            f"{name}: peer {replica.number}"
            for name in DOCUMENTS
            for replica in self.replicas[1:]
            if clocks_of(replica.docs[name]) != clocks_of(first.docs[name])
            or _fingerprint(replica.docs[name]) != _fingerprint(first.docs[name])
        ]

    def _check_store(self, *, whole: bool) -> None:
        """What was acknowledged is in the store; with ``whole`` all of it is, and equal."""
        store = SqliteStore.open(self._gateway.folder)
        try:
            self.counts["snapshots"] = store.status().snapshots
            for name in DOCUMENTS:
                stored = store.load(name)
                document = Document.load(name, stored.snapshot, stored.changes)
                # An update that refers to what has not come waits, but it is on the disk.
                early = [span for raw in document.early for span in inspect_update(raw).spans]
                for replica in self.replicas:
                    for span in replica.acked[name]:
                        missing = lacking(span, document.clocks.get(span.client, 0), early)
                        assert missing is None, (
                            f"{name}: an acknowledged change of peer {replica.number} is lost:"
                            f" {span}, from {missing}; known up to"
                            f" {document.clocks.get(span.client, 0)}, waiting:"
                            f" {[one for one in early if one.client == span.client]}"
                        )
                    self.counts["acknowledged checks"] += len(replica.acked[name])
                    if whole:
                        assert document.clocks == clocks_of(replica.docs[name]), name
                        assert document.fingerprint() == _fingerprint(replica.docs[name]), name
        finally:
            store.close()

    def _fresh(self) -> int:
        return self._ids.randrange(1, 1 << 32)

    def _show(self, operations: int) -> None:
        if self.counts["turns"] % 500 == 0:
            done = self.counts["operations"]
            print(f"\r{done:9,} of {operations:,} operations", end="", file=sys.stderr, flush=True)


def lacking(span: Span, known: int, early: Sequence[Span]) -> int | None:
    """The first clock of an acknowledged span that is neither known nor waiting, or None.

    What waits may be cut elsewhere: changes of one commit are merged in the store.
    """
    for waiting in sorted(one for one in early if one.client == span.client):
        if waiting.start <= max(known, span.start):
            known = max(known, waiting.end)
    return None if known >= span.end else max(known, span.start)


def _content(doc: Doc) -> dict[str, Any]:
    return {
        "text": str(doc.get("text", type=Text)),
        "fields": doc.get("fields", type=Map).to_py(),
        "items": doc.get("items", type=Array).to_py(),
        "lines": doc.get("lines", type=Array).to_py(),
    }


def _fingerprint(doc: Doc) -> bytes:
    return Document.load("", doc.get_update(), ()).fingerprint()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when all agreed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON line")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    wrong = ""
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAMPAIGN_FOLDER")) as folder:
        campaign = Campaign(Path(folder), options.seed)
        try:
            campaign.run(options.operations, progress=True)
        except AssertionError as error:
            wrong = str(error)
    print(file=sys.stderr)
    facts = {
        "agreed": not wrong, "wrong": wrong, "seed": options.seed,
        "seconds": round(time.monotonic() - began, 1), **campaign.counts,
        "sent_bytes": campaign.bytes[0], "received_bytes": campaign.bytes[1],
        "presence": sum(replica.presence_heard for replica in campaign.replicas),
    }  # fmt: skip
    if options.json:
        print(json.dumps(facts))
    else:
        print("\n".join(f"{name:20} {value}" for name, value in facts.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
