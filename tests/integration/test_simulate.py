"""A short day in a small shop."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import ROOT

pytestmark = pytest.mark.integration
COMMAND = (sys.executable, "-m", "gateway", "simulate")
SMALL = ("--kiosks", "2", "--tablets", "2", "--rate", "120")


def test_a_short_day(tmp_path: Path) -> None:
    picture = tmp_path / "day.html"
    ended = subprocess.run(
        [*COMMAND, *SMALL, "--minutes", "0.12", "--outages", "1", "--json", "--picture", picture],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = json.loads(ended.stdout)
    assert ended.returncode == 0 and found["well"], found
    assert found["orders_saved"] == found["orders"] > 5 and found["happened"]["gateway"] == 1
    assert found["sentence"] in picture.read_text()


def test_it_stops_in_order(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, *SMALL, "--minutes", "5", "--no-picture"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stderr is not None
    while "orders" not in process.stderr.readline():
        pass
    os.kill(process.pid, signal.SIGINT)
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 130 and "every process was stopped" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--kiosks", "0"], "from 1 to 200"), (["--minutes", "soon"], "minutes from 0.05")],
)
def test_wrong_numbers_are_said(arguments: list[str], said: str) -> None:
    ended = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 64 and said in ended.stderr
