"""An L2CAP service for the lab's own tests: channel.py PSM sends each message back.

Prints the PSM when it listens; of each who comes the address, its type (1 public, 2 random) and
the longest message it takes.
"""

import asyncio
import ctypes
import os
import socket
import struct
import sys

# bluetooth.h and l2cap.h of the kernel: sockaddr_l2 is family, PSM, address, channel and the type
# of the address, which Python's bind cannot set. A Python that was built without BlueZ's headers
# has no names for any of it.
AF_BLUETOOTH = 31
BTPROTO_L2CAP = 0
ADDRESS = struct.Struct("<HH6sHBx")
LE_PUBLIC = 1
SOL_BLUETOOTH = 274
BT_SNDMTU = 12
BT_RCVMTU = 13

# The longest message either way.
MTU = 2048

LIBC = ctypes.CDLL(None, use_errno=True)


def listener(psm: int, mtu: int = MTU) -> socket.socket:
    """A socket that listens for channels on this PSM over LE; ``mtu``: its longest message."""
    sock = socket.socket(AF_BLUETOOTH, socket.SOCK_SEQPACKET, BTPROTO_L2CAP)
    address = ADDRESS.pack(AF_BLUETOOTH, psm, bytes(6), 0, LE_PUBLIC)
    if LIBC.bind(sock.fileno(), address, len(address)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    sock.setsockopt(SOL_BLUETOOTH, BT_RCVMTU, struct.pack("H", mtu))
    sock.listen()
    sock.setblocking(False)
    return sock


def accept(listening: socket.socket) -> tuple[socket.socket, str]:
    """Who comes next: a socket, and the address of the other end with its type."""
    buffer = ctypes.create_string_buffer(ADDRESS.size)
    size = ctypes.c_uint32(ADDRESS.size)
    # Python's own accept fails where it has no name for the family.
    number = LIBC.accept(listening.fileno(), buffer, ctypes.byref(size))
    sock = socket.socket(AF_BLUETOOTH, socket.SOCK_SEQPACKET, BTPROTO_L2CAP, fileno=number)
    sock.setblocking(False)
    _, _, address, _, kind = ADDRESS.unpack(buffer.raw)
    return sock, f"{address[::-1].hex(':').upper()} {kind}"


async def echo(sock: socket.socket) -> None:
    """Send back whatever comes."""
    loop = asyncio.get_running_loop()
    with sock:
        while message := await loop.sock_recv(sock, MTU):
            await loop.sock_sendall(sock, message)
    print("closed", flush=True)


async def main() -> None:
    """Serve for ever."""
    tasks: set[asyncio.Task[None]] = set()

    def come() -> None:
        sock, who = accept(listening)
        limit = struct.unpack("H", sock.getsockopt(SOL_BLUETOOTH, BT_SNDMTU, 2))[0]
        print("came", who, limit, flush=True)
        tasks.add(asyncio.create_task(echo(sock)))

    listening = listener(int(sys.argv[1]))
    asyncio.get_running_loop().add_reader(listening, come)
    print("listening", sys.argv[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
