"""A disk that is full or takes no writes: said in plain words, nothing lost, work goes on."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.control.client import ControlClient
from gateway.core import messages as m
from tests.core.edits import Author
from tests.integration.test_kill9 import stored
from tests.support.gateway import ROOT, GatewayProcess, eventually
from tests.support.mesh import MeshClient

pytestmark = pytest.mark.integration

NAME = "orders/1"
DISK_BYTES = 6 * 1_048_576
# Left for the gateway when the rest is filled; less than the test writes.
ROOM_BYTES = 400_000
ORDERS, ORDER_BYTES = 60, 20_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, which only root can make."""
    place = tmp_path / "data"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("a disk of its own can only be mounted by root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def status(gateway: GatewayProcess) -> dict[str, Any]:
    return ControlClient(gateway.folder / "control.sock").request("status")


def test_a_full_disk_is_said_and_what_waits_is_written_when_there_is_room(disk: Path) -> None:
    noise = random.Random(1)
    author, reader = Author(1), Author(2)
    with GatewayProcess(disk) as gateway:
        neighbour = MeshClient(gateway.port, bytes([2] * 16))
        writer = MeshClient(gateway.port, bytes([1] * 16))
        for client in (neighbour, writer):
            client.say(m.Open(1, NAME, b"\x00"))
            client.hear(m.Diff)
        writer.say(m.Diff(1, 0, b"", b"\x00\x00"))
        space = os.statvfs(disk)
        filler = disk / "filler"
        filler.write_bytes(bytes(space.f_bavail * space.f_frsize - ROOM_BYTES))
        for number in range(ORDERS):
            value = noise.randbytes(ORDER_BYTES // 2).hex()
            writer.say(m.Update(1, author.set(str(number), value)))
        eventually(lambda: status(gateway)["state"] == "trouble")
        said = status(gateway)
        assert "full" in said["sentence"] and said["store"]["waiting"] > 0
        while len(reader.read()) < ORDERS:
            live = neighbour.hear(m.Update)
            assert isinstance(live, m.Update)
            reader.take(live.update)

        filler.unlink()
        eventually(lambda: status(gateway)["state"] == "ok")
        acked = 0
        while acked < ORDERS + 1:
            ack = writer.hear(m.Ack)
            assert isinstance(ack, m.Ack)
            acked = ack.number
        gateway.kill()
        gateway.start()
        assert stored(gateway.port) == {str(number) for number in range(ORDERS)}
        writer.close()
        neighbour.close()
    assert "Traceback" not in gateway.log()


def start(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "run", "--port", "0", "--data", str(folder)]
    return subprocess.run(
        [*command, "--json", "--no-pages"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("used_before", [False, True])
def test_a_disk_that_takes_no_writes_is_said_at_start(disk: Path, *, used_before: bool) -> None:
    if used_before:
        with GatewayProcess(disk):
            pass
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = start(disk)
    assert done.returncode == 74, done
    assert "Traceback" not in done.stderr
    assert str(disk) in json.loads(done.stdout)["error"]
