"""What was acknowledged is there after power cuts, kills and disk faults (invariants 2, 12)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.power import cuts, shim

CUTS = 2_000
KILLS = 200
SEED = 1
# What a card may be worn at most under load, as a multiple of the updates' bytes.
MOST_WEAR_IN_GROUPS = 5.0


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    with cuts.scratch() as folder:
        yield folder


@pytest.fixture(scope="module")
def library(base: Path) -> Path:
    return shim.build(base)


@pytest.fixture(scope="module")
def kills() -> Iterator[subprocess.Popen[str]]:
    """Kills go on beside the other tests: they wait for disks and processes most of the time."""
    # Forked from a process of its own, which has no threads and nothing else to lose.
    command = [sys.executable, "-m", "tests.power.kill9", "--kills", str(KILLS), "--json"]
    with subprocess.Popen(
        command, cwd=shim.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        # To its end, also when nobody asked: what it forked is its own to end.
        if process.poll() is None:
            process.communicate(timeout=240)


@pytest.mark.usefixtures("kills")
def test_no_power_cut_loses_what_was_acknowledged() -> None:
    result = cuts.campaign(CUTS, SEED)
    assert result.cuts >= CUTS
    assert result.acked > CUTS
    assert not result.unopened
    assert result.lost == 0


def test_the_simulated_disk_finds_a_store_that_does_not_sync(base: Path, library: Path) -> None:
    result = cuts.load_cuts(base, library, 150, SEED, "control")
    assert result.lost > 0


def test_no_kill_loses_what_was_acknowledged(kills: subprocess.Popen[str]) -> None:
    said, errors = kills.communicate(timeout=240)
    assert kills.returncode == 0, said + errors
    result = json.loads(said)
    assert result["kills"] == KILLS
    assert result["acked"] > KILLS
    assert result["lost"] == 0
    assert result["unopened"] == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("full", "store-full"),
        ("read-only", "store-read-only"),
        ("write", "store-failed"),
        ("sync", "store-failed"),
    ],
)
def test_no_fault_of_the_disk_loses_anything_and_each_has_its_code(
    base: Path, library: Path, fault: str, code: str
) -> None:
    folder = base / fault
    folder.mkdir()
    result: dict[str, Any] = json.loads(shim.run(library, "tests.power.faults", folder, fault))
    assert result["runs"] > 40
    assert result["lost"] == 0
    assert set(result["codes"]) == {code}


def test_group_commits_spare_the_card(base: Path, library: Path) -> None:
    assert cuts.wear(base, library, 50) <= MOST_WEAR_IN_GROUPS
    assert cuts.wear(base, library, 1) > MOST_WEAR_IN_GROUPS


def test_relaying_to_a_cloud_wears_the_card_no_more(base: Path, library: Path) -> None:
    alone = cuts.wear(base, library, 50)
    assert cuts.wear(base, library, 50, "wear-waiting") <= 1.005 * alone
    assert cuts.wear(base, library, 50, "wear-sent") <= 1.02 * alone
