"""What all scenarios share: settings of the run, interleaving, the result's form."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.processes import Cores
from tests.bench.servers import Kind, Server


@dataclass(frozen=True)
class Measure:
    """Something measured: ``unit`` for people, whether less is better."""

    title: str
    unit: str
    less: bool = True


@dataclass
class Result:
    """What a scenario found.

    ``values[measure][case]``: one figure a round; a case is a server's name or a
    condition ours was measured under. ``failures[case]``: what went wrong. ``notes``: facts beside.
    """

    measures: dict[str, Measure] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, measure: str, case: str, value: float) -> None:
        """One more round's figure."""
        assert measure in self.measures
        self.values.setdefault(measure, {}).setdefault(case, []).append(value)


@dataclass(frozen=True)
class Run:
    """The settings of one run of ``./dev bench``."""

    kinds: Sequence[Kind]
    folder: Path
    cores: Cores
    quick: bool
    say: Callable[[str], None]

    def rounds(self, full: int, quick: int = 1) -> int:
        """How many rounds."""
        return quick if self.quick else full

    def stored(self) -> list[Kind]:
        """The servers that store."""
        return [kind for kind in self.kinds if kind.stores]


def interleaved(
    run: Run, result: Result, servers: list[Server], rounds: int
) -> Iterator[tuple[int, "Attempt"]]:
    """Each server in turn, round by round, each round beginning with another one.

    Those that are not on their turn are stopped, or what they put off would disturb.
    """
    for server in servers:
        server.pause()
    for number in range(rounds):
        for offset in range(len(servers)):
            server = servers[(offset + number) % len(servers)]
            run.say(f"  round {number + 1} of {rounds}: {server.kind.title}")
            yield number, Attempt(server, result)


class Attempt:
    """``with attempt as server``: a failure of a server is noted, and it starts anew."""

    def __init__(self, server: Server, result: Result) -> None:
        self._server = server
        self._result = result

    def __enter__(self) -> Server:
        self._server.resume()
        return self._server

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is not None and not isinstance(error, AssertionError | OSError):
            return False
        if error is not None:
            self._result.failures[self._server.kind.name] = f"{error}"[:200]
            self._server.kill()
            self._server.start()
        self._server.pause()
        return True


@dataclass(frozen=True)
class Scenario:
    """One comparison: ``work(run)`` does it; ``unasked``: also when no scenario was named."""

    name: str
    title: str
    work: Callable[[Run], Result]
    unasked: bool = True
