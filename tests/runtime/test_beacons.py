"""What is advertised, and when it changes."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.core.beacon import FULL, PAIRING, Beacon, is_of_store
from gateway.core.pairing import PairingWindow
from gateway.runtime.beacons import LOOK_SECONDS, TOKEN_SECONDS, Beacons

ROOT = bytes(range(32))


class Stage:
    """Stands for everything around."""

    def __init__(self) -> None:
        self.membership: Any = SimpleNamespace(root_public=ROOT)
        self.window: PairingWindow | None = None
        self.state = b"1111"
        self.places = [("fe80::1", 1), ("192.168.1.20", 8787)]
        self.free = 8
        self.now = 0.0
        self.drawn = 0
        self.told: list[Beacon | None] = []
        self.enough = asyncio.Event()
        this = cast(Any, self)
        self.beacons = Beacons(
            this, this, this, lambda: self.places, lambda: self.free, self._draw, this
        )

    def _draw(self, count: int) -> bytes:
        self.drawn += 1
        return bytes([self.drawn]) * count

    def digest(self) -> bytes:
        return self.state

    def monotonic(self) -> float:
        return self.now

    async def advertise(self, beacon: Beacon | None) -> None:
        self.told.append(beacon)
        if len(self.told) >= 3:
            self.enough.set()

    def beacon(self) -> Beacon:
        beacon = self.beacons.beacon()
        assert beacon is not None
        return beacon


def test_members_recognise_it_and_strangers_cannot_follow_it() -> None:
    stage = Stage()
    first = stage.beacon()
    assert is_of_store(ROOT, first.token) and stage.beacon() == first
    assert first.digest == b"1111" and (first.address, first.port) == ("192.168.1.20", 8787)
    stage.now = TOKEN_SECONDS
    assert is_of_store(ROOT, stage.beacon().token) and stage.beacon().token != first.token


def test_a_gateway_of_no_store_says_nothing() -> None:
    stage = Stage()
    stage.membership = None
    assert stage.beacons.beacon() is None and stage.drawn == 0


def test_what_it_says_of_itself() -> None:
    stage = Stage()
    stage.places = []
    assert stage.beacon().state == 0 and stage.beacon().port == 0
    stage.free = 0
    stage.window = PairingWindow(bytes(32), "01234-56789-ABCDE-FGHJK", "device", (), 10.0)
    assert stage.beacon().state == PAIRING | FULL
    stage.now = 10.0
    assert stage.beacon().state == FULL


def test_the_radio_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> Stage:
        stage = Stage()
        monkeypatch.setattr("gateway.runtime.beacons.LOOK_SECONDS", 0.0)
        keeping = asyncio.ensure_future(stage.beacons.keep())
        await asyncio.wait_for(stage.enough.wait(), 5.0)
        keeping.cancel()
        return stage

    assert LOOK_SECONDS == 1.0
    assert len(set(asyncio.run(main()).told)) == 1
