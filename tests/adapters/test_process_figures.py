"""What this process takes."""

import os
from pathlib import Path

from gateway.adapters.process_figures import process_figures


def test_figures_are_those_of_this_process() -> None:
    before = process_figures()
    held = bytearray(os.urandom(1)) * 30_000_000
    with Path(os.devnull).open() as one, Path(os.devnull).open() as two:
        after = process_figures()
    assert after.open_files == before.open_files + 2
    assert after.memory_bytes - before.memory_bytes > 20_000_000
    assert after.cpu_seconds >= before.cpu_seconds > 0
    assert len(held) and one.closed and two.closed
