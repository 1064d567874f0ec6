"""The gateway's own radio for a test, with phones that are answered in simple words.

radio.py [PATIENCE]: serves again and again, `PATIENCE` seconds apart, and prints what happens.
What a phone writes to RX is notified to it behind the last two octets of its address; "N x" is
answered by N notifications as fast as there is room. A channel echoes.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from gateway.adapters.ble import Ble
from gateway.adapters.loop import new_event_loop
from gateway.core.beacon import Beacon
from gateway.core.errors import GatewayError
from gateway.core.opening import Info
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
        self._waiting: dict[str, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.written_bytes = 0

    def connected(self, phone: str) -> None:
        say("connected", phone)

    def disconnected(self, phone: str) -> None:
        say("disconnected", phone)
        self._waiting.pop(phone, None)

    def written(self, phone: str, value: bytes, takes: int) -> None:
        self.written_bytes += len(value)
        if value.startswith(b"quiet"):
            return
        if value.startswith(b"count"):
            value = str(self.written_bytes).encode()
        if value == b"go":
            self._radio.disconnect(phone)
        head = bytes.fromhex(phone.replace(":", ""))[-2:] + takes.to_bytes(2, "little")
        times = int(value[4:]) if value.startswith(b"many") else 1
        for number in range(times):
            body = value if times == 1 else number.to_bytes(4, "big") + bytes(takes - 8)
            self._waiting.setdefault(phone, []).append(head + body)
        self.room(phone)

    def room(self, phone: str) -> None:
        queue = self._waiting.get(phone, [])
        while queue and self._radio.notify(phone, queue[0]):
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
    radio.tell(Info(PEER, 0, 8, 8).encoded())
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
