"""``store-gateway simulate``: plan the day, run it, judge it, show it."""

import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError
from gateway.simulate.judge import judge, read_store
from gateway.simulate.picture import page
from gateway.simulate.plan import make_plan
from gateway.simulate.report import facts, text
from gateway.simulate.shop import Shop

BAR = 24
LINE_SECONDS = 5.0
INTERRUPTED = 130
EX_CANTCREAT = 73


class Progress:
    """A bar on a terminal; elsewhere a line every few seconds. On standard error."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_terminal = sys.stderr.isatty()
        self._shown_at = 0.0
        self._shown = ""

    def tell(self, what: str, share: float) -> None:
        """What happens, and how far it is: 0 to 1."""
        now = time.monotonic()
        if now - self._shown_at < (0.2 if self._is_terminal else LINE_SECONDS):
            return
        self._shown_at = now
        left = f"{(1 - share) * self._seconds:.0f} s left" if 0 < share < 1 else ""
        if self._is_terminal:
            done = round(share * BAR)
            line = f"[{'#' * done}{'.' * (BAR - done)}] {left:>10}  {what}"[:100]
            print(f"\r{line:<100}", end="", file=sys.stderr, flush=True)
        elif (line := f"{share:4.0%} {left} {what}") != self._shown:
            self._shown = line
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line free."""
        if self._is_terminal:
            print(f"\r{'':<100}\r", end="", file=sys.stderr, flush=True)


def simulate(
    settings: Mapping[str, Any],
    say: Callable[[str], None],
    *,
    as_json: bool,
    picture: Path | None,
    keep: bool,
) -> int:
    """Run a day; 0 if all converged and nothing was lost, else 1.

    ``settings``: kiosks, tablets, gateways, minutes, outages, rate (orders a minute), seed.
    ``say`` writes the verdict. Raises ``GatewayError`` when a process does not start, or, before
    the day begins, when the picture cannot be written.
    """
    if picture is not None:
        _check_writable(picture)
    plan = make_plan(**settings)
    folder = Path(tempfile.mkdtemp(prefix="store-simulation-"))
    progress = Progress(plan.seconds)
    try:
        shop = Shop(plan, folder, settings["gateways"], settings["seed"], progress.tell)
        with asyncio.Runner() as runner:
            if not runner.run(_interruptible(shop)):
                progress.end()
                print("interrupted; every process was stopped", file=sys.stderr)
                return INTERRUPTED
        progress.tell("comparing what everybody has", 1.0)
        gateways = {name: read_store(path) for name, path in shop.gateway_folders.items()}
        devices = {
            peer.device.name: (peer.device.subscription, read_store(peer.program.folder))
            for peer in shop.peers
        }
        saved = [
            (seen.order.content["kiosk"], name)
            for name, seen in shop.record.orders.items()
            if seen.saved_at is not None
        ]
        verdict = judge(gateways, devices, saved)
        found = facts(verdict, shop.record, shop.peers, settings)
        progress.end()
        say(json.dumps(found) if as_json else text(found))
        if picture is not None:
            _write(picture, page(found, shop.record, plan.seconds))
        if picture is not None and not as_json:
            say(f"  picture           {picture}")
        return 0 if found["well"] else 1
    finally:
        if keep:
            print(f"everything is kept in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _interruptible(shop: Shop) -> bool:
    """Whether it came to its end."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(shop.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return False
    except ExceptionGroup as group:
        raise _first(group) from None
    return True


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _check_writable(path: Path) -> None:
    was_there = path.exists()
    _write(path, "", "a")
    if not was_there:
        path.unlink()


def _write(path: Path, content: str, mode: str = "w") -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        sentence = f"the picture cannot be written to {path}: {error.strerror}"
        raise GatewayError("picture", sentence, EX_CANTCREAT) from error
