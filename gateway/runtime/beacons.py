"""Keeps what is advertised by Bluetooth as things are (docs/bluetooth.md, "Advertising")."""

import asyncio
from collections.abc import Callable

from gateway.core.beacon import FULL, NONCE_BYTES, PAIRING, Beacon, is_ipv4, token
from gateway.core.pairing import WindowState
from gateway.ports import Clock, Radio
from gateway.runtime.members import Members
from gateway.runtime.store_state import StoreState

# Who follows a token around loses it after this.
TOKEN_SECONDS = 900.0
LOOK_SECONDS = 1.0

# Host and port in the LAN.
Place = tuple[str, int]


class Beacons:
    """``places()``: where this gateway is reached; ``free()``: how many more phones are taken;
    ``draw(count)`` gives random bytes."""

    def __init__(
        self,
        radio: Radio,
        members: Members,
        state: StoreState,
        places: Callable[[], list[Place]],
        free: Callable[[], int],
        draw: Callable[[int], bytes],
        clock: Clock,
    ) -> None:
        self._radio = radio
        self._members = members
        self._state = state
        self._places = places
        self._free = free
        self._draw = draw
        self._now = clock.monotonic
        self._nonce = b""
        self._drawn_at = 0.0

    def beacon(self) -> Beacon | None:
        """What is to be advertised now; None while this device is of no store."""
        membership, now = self._members.membership, self._now()
        if membership is None:
            return None
        if not self._nonce or now - self._drawn_at >= TOKEN_SECONDS:
            self._nonce, self._drawn_at = self._draw(NONCE_BYTES), now
        window = self._members.window
        is_open = window is not None and window.state(now) is WindowState.OPEN
        state = (PAIRING if is_open else 0) | (0 if self._free() else FULL)
        host, port = next((place for place in self._places() if is_ipv4(place[0])), ("", 0))
        shown = token(membership.root_public, self._nonce)
        return Beacon(shown, self._state.digest(), state, host, port)

    async def keep(self) -> None:
        """Look once a second, for ever."""
        while True:
            await self._radio.advertise(self.beacon())
            await asyncio.sleep(LOOK_SECONDS)
