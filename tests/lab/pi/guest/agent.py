"""Runs commands in the virtual Pi for the test outside: JSON lines over a serial port.

A request is ``{"id", "argv", "input"}``, its answer ``{"id", "code", "output"}``;
``{"id", "off": true}`` powers off. Several commands run at once. Standard library only: it runs
under the host's own Python before anything else is there.
"""

import asyncio
import ctypes
import json
import os
import sys
import tty
from typing import Any

# LINUX_REBOOT_CMD_POWER_OFF of reboot(2).
RB_POWER_OFF = 0x4321FEDC

# One line may hold a document of this size.
LINE_BYTES = 64 * 1024 * 1024


async def main(port: str) -> None:
    """Serve the port for ever."""
    wire = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(wire)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    source = os.fdopen(wire, "rb", buffering=0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    sink = os.fdopen(os.open(port, os.O_RDWR | os.O_NOCTTY), "wb", buffering=0)
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sink)
    bring_up_loopback()
    answer(writer, {"id": 0, "code": 0, "output": sys.version})
    tasks = set()
    async for line in reader:
        task = asyncio.create_task(perform(json.loads(line), writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def perform(request: dict[str, Any], writer: asyncio.WriteTransport) -> None:
    """Do what one request asks and answer it."""
    if request.get("off"):
        os.sync()
        ctypes.CDLL(None).reboot(RB_POWER_OFF)
    code, output = await run(request["argv"], request.get("input", ""))
    answer(writer, {"id": request["id"], "code": code, "output": output})


async def run(argv: list[str], given: str) -> tuple[int, str]:
    """Exit code and both outputs of a command; 127 if there is none of that name."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        return 127, f"{argv[0]}: {error.strerror}\n"
    output, _ = await process.communicate(given.encode())
    return process.returncode or 0, output.decode(errors="replace")


def answer(writer: asyncio.WriteTransport, message: dict[str, Any]) -> None:
    """Send one line."""
    writer.write(json.dumps(message).encode() + b"\n")


def bring_up_loopback() -> None:
    """What ``ip link set lo up`` does, on a host that may have no ``ip``."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # SIOCSIFFLAGS with IFF_UP | IFF_RUNNING, netdevice(7)
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x41))


asyncio.run(main(sys.argv[1]))
