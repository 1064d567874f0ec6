"""A device behind a narrow way: 20 kB a second, 100 ms each way, and cut in between."""

import time
from pathlib import Path

import pytest

from gateway.control.messages import ControlError
from tests.support.gateway import GatewayProcess, eventually
from tests.support.peer import PeerProcess
from tests.support.proxy import Proxy
from tests.support.shape import Shape
from tests.support.shop import fields
from tests.support.store import Pairing, ask, command, put

pytestmark = pytest.mark.integration

NARROW = Shape(bytes_a_second=20_000, delay_seconds=0.1)
HISTORY = {f"orders/{number}": {"note": f"{number}" + "x" * 2_400} for number in range(20)}
HISTORY_BYTES = sum(len(content["note"]) for content in HISTORY.values())
HISTORY_SECONDS = HISTORY_BYTES / 20_000
# Beside the time that the bytes need: calling again after the cut, and what a busy machine takes.
SLACK_SECONDS = 10.0
# What frames, names and a link more add; nothing of the history comes twice.
MOST_BYTES = 1.25 * HISTORY_BYTES


def test_history_and_live_changes_come_through_a_narrow_way(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "gateway") as gateway,
        Proxy(gateway.port, up=NARROW, down=NARROW) as proxy,
    ):
        assert command(gateway.folder, "claim")["ok"]
        peer = paired(tmp_path / "till", gateway, proxy)
        put({(gateway.folder, name): content for name, content in HISTORY.items()})
        before, began = proxy.down.carried_bytes, time.monotonic()
        with peer:
            peer.until(lambda documents: len(documents) >= len(HISTORY) / 4)
            proxy.cut()
            proxy.mend()
            peer.until(lambda documents: len(documents) >= len(HISTORY) / 2)
            down, up = live_changes(gateway, peer)
            peer.until(lambda documents: HISTORY.keys() <= documents.keys())
            whole = time.monotonic() - began
            assert {name: fields(peer.documents[name]) for name in HISTORY} == HISTORY
        carried = proxy.down.carried_bytes - before
    print(
        f"\n{HISTORY_BYTES:,} bytes of history: all there after {whole:.1f} s, {carried:,} bytes;"
        f" a live change down after {down:.1f} s, up after {up:.1f} s"
    )
    assert HISTORY_SECONDS <= whole <= HISTORY_SECONDS + SLACK_SECONDS
    assert carried <= MOST_BYTES


def live_changes(gateway: GatewayProcess, peer: PeerProcess) -> tuple[float, float]:
    """Seconds until a change at each side is at the other, behind or before the history."""
    began = time.monotonic()
    put({(gateway.folder, "orders/down"): {"n": 1}, (peer.folder, "orders/up"): {"n": 2}})
    eventually(lambda: has(gateway, "orders/up"))
    up = time.monotonic() - began
    peer.until(lambda documents: "orders/down" in documents)
    return time.monotonic() - began, up


def has(gateway: GatewayProcess, document: str) -> bool:
    try:
        return bool(ask(gateway.folder, "get", document=document))
    except ControlError as error:
        if error.code != "no-document":
            raise
        return False


def paired(folder: Path, gateway: GatewayProcess, proxy: Proxy) -> PeerProcess:
    """A peer that was paired over the narrow way; not running."""
    address = f"127.0.0.1:{proxy.port}"
    with (
        Pairing(gateway.folder) as pairing,
        PeerProcess(folder, "--connect", address, "--pair", pairing.code) as peer,
    ):
        peer.wait(lambda event: event.get("state") == "open")
        assert pairing.end()["state"] == "paired"
    return PeerProcess(folder, "--connect", address, "--subscribe", "orders")
