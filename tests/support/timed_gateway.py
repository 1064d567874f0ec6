"""The real gateway in a time that its test lets go on faster: ``tests.support.timed_clock``.

``python -m tests.support.timed_gateway run --clock FILE [--speed N] …``: the same command, the same
composition; only its clock and the timers of its loop are others, and the loop is asyncio's own,
since uvloop has its timers in C. The store thread commits in real time.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest.mock import patch

from gateway import app
from gateway.__main__ import main as gateway
from tests.support.gateway import GatewayProcess
from tests.support.timed_clock import TimedClock, loop_of


class TimedGateway(GatewayProcess):
    """``gateway.clock.advance(3600)``: an hour later. Its time goes on while it is killed, too.

    The clock is a file beside its folder, so that it outlives this object as well.
    """

    def __init__(self, folder: Path, *arguments: str, port: int = 0) -> None:
        path = folder.parent / f"{folder.name}.clock"
        self.clock = TimedClock(path)
        super().__init__(
            folder, "--clock", str(path), *arguments, port=port,
            module="tests.support.timed_gateway",
        )  # fmt: skip

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self.clock.__exit__()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in the time of ``--clock``; returns the exit code."""
    # paho asks for its own clock when it keeps a connection alive.
    from paho.mqtt import client as paho

    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--clock", type=Path, required=True)
    parser.add_argument("--speed", type=float)
    ours, theirs = parser.parse_known_args(arguments)
    with TimedClock(ours.clock) as clock:
        if ours.speed is not None:
            clock.run_at(ours.speed)
        lives_in = app.Time(clock, loop_of(clock))
        with (
            patch.object(app, "run", partial(app.run, lives_in=lives_in)),
            patch.object(paho, "time_func", clock.monotonic),
        ):
            return gateway(theirs)


if __name__ == "__main__":
    sys.exit(main())
