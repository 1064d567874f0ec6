"""The SDK's own tests, and that the built files in git are those of its source."""

import filecmp
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

CLIENT = Path(__file__).resolve().parents[2] / "web" / "client"
# On two processors Node by itself runs one file after the other.
PARTS = 2

pytestmark = pytest.mark.integration


def test_its_own_tests_pass() -> None:
    tests = sorted(str(path) for path in (CLIENT / "test").glob("*.test.mjs"))

    def run(part: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["node", "--test", *tests[part::PARTS]], cwd=CLIENT,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    with ThreadPoolExecutor(PARTS) as pool:
        for done in pool.map(run, range(PARTS)):
            assert done.returncode == 0, done.stdout[-4_000:]


def test_the_examples_have_the_types_of_what_they_use() -> None:
    done = subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", "-p", "examples"], cwd=CLIENT,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_dist_is_current(tmp_path: Path) -> None:
    subprocess.run(
        ["node", "build.mjs", str(tmp_path)], cwd=CLIENT, check=True, capture_output=True,
        timeout=120,
    )  # fmt: skip
    built = sorted(path.name for path in tmp_path.iterdir())
    kept = sorted(path.name for path in (CLIENT / "dist").iterdir())
    assert built == kept
    _, differ, errors = filecmp.cmpfiles(tmp_path, CLIENT / "dist", built, shallow=False)
    assert not differ and not errors, "run ./dev sdk and commit web/client/dist"
