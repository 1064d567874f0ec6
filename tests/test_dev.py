"""./dev knows every command of the gateway, and its completion every flag."""

import argparse
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.__main__ import _parser
from tests.lab.pi.kernel import SOURCE

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[1]
DEV = str(ROOT / "dev")
LAUNCHER = ROOT / ".venv" / "bin" / "store-gateway"


def commands() -> Mapping[str, argparse.ArgumentParser]:
    (action,) = (
        one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction)
    )  # fmt: skip
    return action.choices


def completed(*words: str) -> set[str]:
    """What completion offers after these words."""
    script = f"""
        source <('{DEV}' completion)
        COMP_WORDS=(./dev {" ".join(words)} ""); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _store_gateway_dev; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_every_command_of_the_gateway_is_a_verb() -> None:
    assert set(commands()) <= completed()
    page = subprocess.run([DEV, "help"], capture_output=True, text=True, check=True).stdout
    assert [name for name in commands() if name not in page] == []


def test_the_kernel_source_is_the_same_in_the_script_and_in_the_lab() -> None:
    assert f"LAB_SOURCE={SOURCE}\n" in Path(DEV).read_text()


def test_every_verb_has_a_line_in_the_help_and_a_page_of_its_own() -> None:
    verbs = completed() - set(commands())
    assert {"lab", "test", "check"} <= verbs
    page = subprocess.run([DEV, "help"], capture_output=True, text=True, check=True).stdout
    for verb in verbs - {"help"}:
        assert f"\n  {verb} " in page
        own = subprocess.run([DEV, verb, "--help"], capture_output=True, text=True, check=True)
        assert own.stdout.startswith(f"./dev {verb}")


@pytest.mark.parametrize("name", sorted(commands()))
def test_completion_knows_every_flag(name: str) -> None:
    flags = {
        flag
        for action in commands()[name]._actions
        for flag in action.option_strings
        if flag.startswith("--")
    }
    assert completed(name) == flags


@pytest.mark.skipif(not LAUNCHER.exists(), reason="there is no .venv made by ./dev")
def test_help_and_errors_name_what_was_typed(tmp_path: Path) -> None:
    # What lies in the folder it is called from is not its business.
    (tmp_path / "gateway.py").write_text("raise SystemExit('another gateway')")
    for typed, called in (("./dev", DEV), ("store-gateway", str(LAUNCHER))):
        wrong = subprocess.run(
            [called, "status", "--bake"], cwd=tmp_path, capture_output=True, text=True
        )
        assert wrong.returncode == os.EX_USAGE
        assert wrong.stderr.endswith(f"see {typed} status --help\n"), wrong.stderr
        shown = subprocess.run(
            [called, "peer", "--help"], cwd=tmp_path, capture_output=True, text=True
        )
        assert shown.returncode == 0 and f"{typed} peer --connect" in shown.stdout
