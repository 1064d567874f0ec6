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
    [
        (["--kiosks", "0"], "from 1 to 200"),
        (["--minutes", "soon"], "minutes from 0.05"),
        (["--data", "x"], "unrecognized arguments: --data x; see store-gateway simulate --help"),
        (["--config", "x"], "unrecognized arguments: --config x"),
    ],
)
def test_wrong_numbers_are_said(arguments: list[str], said: str) -> None:
    ended = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 64 and said in ended.stderr


def test_a_picture_that_cannot_be_written_is_said_before_the_day_begins(tmp_path: Path) -> None:
    for picture in (tmp_path / "none" / "day.html", tmp_path):
        ended = subprocess.run(
            [*COMMAND, "--minutes", "5", "--picture", picture, "--json"],
            cwd=ROOT, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert ended.returncode == 73 and json.loads(ended.stdout)["code"] == "picture"
        assert "starting" not in ended.stderr and str(picture) in ended.stderr


def test_a_day_without_orders_tried_nothing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, "--kiosks", "1", "--tablets", "1", "--outages", "0", "--minutes", "0.05",
         "--rate", "1", "--picture", "day.html"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 1 and ended.stdout.startswith("Nothing was tried")
    assert "Nothing was tried" in (tmp_path / "day.html").read_text()
