"""Gateways in a line know each other, and the versions of apps behind each other."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.control.client import ControlClient
from tests.support.gateway import ROOT, GatewayProcess, eventually

pytestmark = pytest.mark.integration
KNOWN_SECONDS = 15.0


@pytest.fixture
def line(tmp_path: Path) -> Iterator[list[GatewayProcess]]:
    """Each but the first calls the one before it."""
    with ExitStack() as stack:
        gateways: list[GatewayProcess] = []
        for name in ("one", "two", "three"):
            to = ("--connect", gateways[-1].facts["mesh"]) if gateways else ()
            gateway = GatewayProcess(tmp_path / name, "--name", name, *to)
            gateways.append(stack.enter_context(gateway))
        yield gateways


def ask(gateway: GatewayProcess, verb: str, **arguments: Any) -> Any:
    return ControlClient(gateway.folder / "control.sock").request(verb, **arguments)


def names(gateway: GatewayProcess) -> dict[str, int]:
    return {peer["about"]["name"]: peer["hops"] for peer in ask(gateway, "status")["graph"]}


@pytest.mark.parametrize("claimed", [False, True])
def test_everybody_knows_everybody(line: list[GatewayProcess], claimed: bool) -> None:
    one, two, three = line
    if claimed:
        code = ask(one, "claim")["recovery_code"]
        for other in (two, three):
            ask(other, "claim", recovery_code=code)
    eventually(lambda: names(one) == {"two": 1, "three": 2}, KNOWN_SECONDS)
    eventually(lambda: names(three) == {"two": 1, "one": 2}, KNOWN_SECONDS)
    command = [sys.executable, "-m", "gateway", "status", "--data", str(one.folder)]
    page = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "   └─ three  large" in page

    # A number that begins anew does not hide who comes back.
    two.kill()
    eventually(lambda: names(one) == {}, KNOWN_SECONDS)
    two.start()
    eventually(lambda: names(one) == {"two": 1, "three": 2}, KNOWN_SECONDS)

    three.stop()
    eventually(lambda: names(one) == {"two": 1}, KNOWN_SECONDS)
