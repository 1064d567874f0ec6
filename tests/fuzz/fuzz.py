"""The campaign: mutants of genuine updates against the guard, what it accepts against yrs.

    python -m tests.fuzz.fuzz --mutants 370000 --seed 1 [--first-batch N] [--json]

Mutants come in batches that depend on nothing but the seed and their number, so a stopped
campaign goes on with ``--first-batch``. What the guard accepts is applied in a worker
process, on the document it belongs to or on an empty one, followed by the genuine update
in whose place it came and all later ones, a snapshot, a reload and a projection.

Exit code 1 if anything but a refusal left the guard, if a worker died, or if the library
panicked. ``disturbed`` counts sound updates that were declined after a mutant: forged
structs under another author's client id can do that, and only rights can prevent it.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from gateway.core.errors import PeerError
from gateway.core.guard import inspect_awareness, inspect_state_vector, inspect_update
from tests.fuzz.mutate import bit_flips, mutant, truncations
from tests.fuzz.seeds import History, Malformed, histories

ROOT = Path(__file__).resolve().parents[2]
BATCH = 2_000
PROGRESS_SECONDS = 10.0
# Every bit of this many genuine updates is flipped once, and they end at every byte.
SYSTEMATIC = 20


@dataclass(frozen=True, slots=True)
class Case:
    """An update for a document: of a history after ``position`` updates, or of ``base``."""

    update: bytes
    then: tuple[bytes, ...]
    history: int = 0
    position: int = 0
    base: bytes | None = None

    @classmethod
    def of(cls, known: Malformed) -> Self:
        """A case of the corpus."""
        return cls(known.update, (known.then,) if known.then else (), base=known.base)

    def line(self) -> str:
        """What the worker reads."""
        where = f"x{self.base.hex()}" if self.base is not None else str(self.history)
        then = ",".join(update.hex() for update in self.then)
        return f"{where} {self.position} {self.update.hex()} {then or '-'}\n"


@dataclass(slots=True)
class Verdict:
    """What came of a campaign; the last three must stay empty."""

    mutants: int = 0
    refused: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    disturbed: Counter[str] = field(default_factory=Counter)
    escaped: list[str] = field(default_factory=list)
    panics: list[str] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing died, panicked or escaped."""
        return not (self.escaped or self.panics or self.deaths)

    def as_dict(self) -> dict[str, object]:
        """For machines."""
        return {
            "mutants": self.mutants, "refused": self.refused, **self.outcomes,
            "disturbed_by": dict(self.disturbed.most_common(8)), "escaped": self.escaped,
            "panics": self.panics, "deaths": self.deaths,
        }  # fmt: skip


class Worker:
    """A child that applies cases; it is started anew when one of them ends it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, cases: list[Case], verdict: Verdict) -> None:
        """Put cases through, noting what became of each."""
        while cases:
            child = self._started()
            assert child.stdin is not None and child.stdout is not None
            answered = self._answers(child.stdin, child.stdout, cases, verdict)
            if answered < len(cases):
                code = self._end()
                verdict.outcomes["died"] += 1
                verdict.deaths.append(f"exit {code}: {cases[answered].line().strip()}")
                answered += 1
            cases = cases[answered:]

    def _answers(self, sink: IO[str], source: IO[str], cases: list[Case], verdict: Verdict) -> int:
        for number, case in enumerate(cases):
            try:
                sink.write(case.line())
                sink.flush()
            except BrokenPipeError:
                return number
            answer = source.readline().strip()
            if not answer:
                return number
            _note(case, answer, verdict)
        return len(cases)

    def _started(self) -> subprocess.Popen[str]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker"],
                cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return self._child

    def _end(self) -> int | None:
        child, self._child = self._child, None
        if child is None:
            return None
        assert child.stdin is not None and child.stdout is not None
        # One that died did not read what was still in the pipe; its exit code tells.
        with suppress(BrokenPipeError):
            child.stdin.close()
        child.stdout.close()
        return child.wait()


def campaign(
    mutants: int, seed: int, first_batch: int = 0, progress: IO[str] | None = None
) -> Verdict:
    """Run at least ``mutants`` mutants, whole batches."""
    verdict = Verdict()
    known = histories()
    told = time.monotonic()
    batch = first_batch
    with Worker() as worker:
        while verdict.mutants < mutants:
            size = min(BATCH, mutants - verdict.mutants)
            worker.run(accepted(random_cases(known, seed, batch, size), verdict), verdict)
            batch += 1
            if progress is not None and time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                print(
                    f"batch {batch}: {verdict.mutants} mutants, {sentence(verdict)}", file=progress
                )
    return verdict


def systematic(verdict: Verdict) -> None:
    """Every bit flip and every truncation of some genuine updates."""
    known = histories()
    with Worker() as worker:
        for number in range(SYSTEMATIC):
            history = known[number % len(known)]
            position = min(3, len(history.updates) - 1)
            update = min(history.updates[position:], key=lambda one: abs(len(one) - 60))
            position = history.updates.index(update)
            changed = (*bit_flips(update), *truncations(update))
            then = history.updates[position:]
            cases = (Case(one, then, known.index(history), position) for one in changed)
            worker.run(accepted(cases, verdict), verdict)


def random_cases(known: tuple[History, ...], seed: int, batch: int, size: int) -> Iterator[Case]:
    """The mutants of one batch."""
    chance = random.Random(f"{seed}/{batch}")
    for _ in range(size):
        number = chance.randrange(len(known))
        history = known[number]
        lender = chance.choice(known)
        position = chance.randrange(len(history.updates))
        data = history.updates[position]
        if chance.random() < 0.25:
            data = chance.choice(history.others)
        if chance.random() < 0.25:
            position = 0
        changed = mutant(chance, data, chance.choice(lender.updates))
        yield Case(changed, history.updates[position:], number, position)


def accepted(cases: Iterable[Case], verdict: Verdict) -> list[Case]:
    """The cases the guard lets through; refusals and whatever else left it are counted."""
    taken = []
    for case in cases:
        verdict.mutants += 1
        try:
            inspect_update(case.update)
        except PeerError:
            verdict.refused += 1
        except Exception as error:  # noqa: BLE001 - any escape is the finding
            verdict.escaped.append(f"{error!r}: {case.update.hex()}")
        else:
            taken.append(case)
        for inspect in (inspect_state_vector, inspect_awareness):
            try:
                inspect(case.update)
            except PeerError:
                continue
            except Exception as error:  # noqa: BLE001 - any escape is the finding
                verdict.escaped.append(f"{error!r} in {inspect.__name__}: {case.update.hex()}")
    return taken


def sentence(verdict: Verdict) -> str:
    """The state of things in one line."""
    outcomes = ", ".join(f"{count} {word}" for word, count in verdict.outcomes.most_common())
    return (
        f"{verdict.refused} refused, {outcomes}; {len(verdict.deaths)} deaths, "
        f"{len(verdict.panics)} panics, {len(verdict.escaped)} escaped"
    )


def _note(case: Case, answer: str, verdict: Verdict) -> None:
    word = answer.split(" ", 1)[0].rstrip(":")
    verdict.outcomes[word] += 1
    if word == "panic":
        verdict.panics.append(f"{answer} || {case.line().strip()}")
    elif word == "disturbed":
        verdict.disturbed[answer[:80]] += 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzz", description=__doc__)
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-batch", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the verdict as JSON")
    arguments = parser.parse_args()
    started = time.monotonic()
    verdict = campaign(arguments.mutants, arguments.seed, arguments.first_batch, sys.stderr)
    seconds = time.monotonic() - started
    if arguments.json:
        print(json.dumps({**verdict.as_dict(), "seconds": round(seconds, 1)}))
    else:
        print(f"{verdict.mutants} mutants in {seconds:.0f} s: {sentence(verdict)}")
        for finding in (*verdict.deaths, *verdict.panics, *verdict.escaped):
            print(finding)
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
