"""The gateway's own radio for a test, with phones that are answered in simple words.

radio.py [PATIENCE]: serves again and again, `PATIENCE` seconds apart, and prints what happens.
What a phone writes to RX is notified to it behind the last octet of its address and its MTU; "many
N" is answered by N notifications as fast as there is room, "quiet…" by nothing and "count" by the
bytes of all that. A channel echoes.
"""

import asyncio
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path

from gateway.adapters.ble import Ble
from gateway.adapters.loop import new_event_loop
from gateway.core.beacon import Beacon
from gateway.core.errors import GatewayError
from gateway.core.opening import PLACES, Info
from gateway.core.segments import MAX_SEGMENT_BYTES
from gateway.ports import Channel

PATIENCE = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
PEER = bytes(range(16))


def say(*words: object) -> None:
    """One line of what happens."""
    print(f"{time.monotonic():.2f}", *words, flush=True)


class Echo:
    """Satisfies ``Phones``."""

    def __init__(self, radio: Ble) -> None:
        self._radio = radio
        self._places: dict[str, int] = {}
        self._waiting: dict[str, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._quiet: Counter[str] = Counter()

    def connected(self, phone: str) -> None:
        say("connected", phone)

    def disconnected(self, phone: str) -> None:
        say("disconnected", phone)
        self._waiting.pop(phone, None)
        self._places.pop(phone, None)

    def info(self, phone: str, psm: int) -> bytes:
        free = set(range(1, PLACES + 1)) - set(self._places.values())
        place = self._places.setdefault(phone, min(free, default=0))
        return Info(PEER, psm, len(free), place).encoded()

    def written(self, phone: str, value: bytes, mtu: int) -> None:
        if value.startswith(b"quiet"):
            self._quiet[phone] += len(value)
            return
        head = bytes.fromhex(phone.replace(":", ""))[-1:] + mtu.to_bytes(2, "little")
        answers = [head + value]
        if value == b"count":
            answers = [head + str(self._quiet[phone]).encode()]
        elif value.startswith(b"many"):
            body = bytes(min(mtu - 3, MAX_SEGMENT_BYTES) - 7)
            answers = [head + n.to_bytes(4, "big") + body for n in range(int(value[4:]))]
        elif value == b"go":
            self._radio.disconnect(phone)
        self._waiting.setdefault(phone, []).extend(answers)
        self.room(phone)

    def room(self, phone: str) -> None:
        queue = self._waiting.get(phone, [])
        while queue and self._radio.notify(phone, self._places.get(phone, 1), queue[0]):
            del queue[0]
        if queue:
            say("no room", phone)

    def channel(self, phone: str, channel: Channel) -> None:
        say("channel", phone)
        task = asyncio.create_task(self._echo(phone, channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _echo(self, phone: str, channel: Channel) -> None:
        while data := await channel.recv():
            channel.send(data)
        say("closed", phone)


def descriptors() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def main() -> None:
    """Serve for ever."""
    radio = Ble()
    echo = Echo(radio)
    await radio.advertise(Beacon(bytes(8), b"abcd", 1, "192.168.1.2", 8787))
    while True:
        say("serve")
        try:
            await radio.serve(echo)
        except GatewayError as error:
            say("ended", error.code, error.sentence)
        say("left", descriptors(), len(asyncio.all_tasks()))
        await asyncio.sleep(PATIENCE)


with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
