"""The gateway's radio with its keeper, for a test: prints its status whenever it is another.

keeper.py [HELPER]: `HELPER` is run in place of systemctl to restart bluetoothd.
What a phone writes to RX is notified to it as it came.
"""

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path

from gateway.adapters import radio_tools
from gateway.adapters.ble import Ble
from gateway.adapters.loop import new_event_loop
from gateway.core.beacon import Beacon
from gateway.core.opening import Info
from gateway.ports import Channel
from gateway.runtime.radio import RadioKeeper

if len(sys.argv) > 1:
    # There is no systemd here.
    radio_tools.SYSTEMD = Path("/")
    radio_tools.RESTART = ("sh", sys.argv[1])

LOOK_SECONDS = 0.1


class Clock:
    """Satisfies ``Clock``."""

    def monotonic(self) -> float:
        return time.monotonic()


class Echo:
    """Satisfies ``Phones``; one phone at a time."""

    def __init__(self, radio: Ble) -> None:
        self._radio = radio

    def connected(self, phone: str) -> None: ...

    def disconnected(self, phone: str) -> None: ...

    def info(self, phone: str, psm: int) -> bytes:
        return Info(bytes(16), psm, 1, 1).encoded()

    def written(self, phone: str, value: bytes, mtu: int) -> None:
        self._radio.notify(phone, 1, value)

    def room(self, phone: str) -> None: ...

    def channel(self, phone: str, channel: Channel) -> None:
        channel.close()


async def tell(keeper: RadioKeeper) -> None:
    """Print what the keeper says, for ever."""
    last = None
    while True:
        said = dict(keeper.status())
        del said["since_s"]
        if said != last:
            last = said
            print(json.dumps({"at": round(time.monotonic(), 1), **said}), flush=True)
        await asyncio.sleep(LOOK_SECONDS)


async def main() -> None:
    """Serve for ever."""
    radio = Ble()
    await radio.advertise(Beacon(bytes(8), b"abcd", 1, "192.168.1.2", 8787))
    keeper = RadioKeeper(radio, radio_tools.LinuxRadioTools(), Echo(radio), Clock())
    await asyncio.gather(keeper.keep(), tell(keeper))


with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
