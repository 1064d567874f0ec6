"""For the lab's own tests: prints which of these things it may do, a line each."""

import os
import socket
import time
from pathlib import Path


def device() -> None:
    """Open a device that systemd does not count as harmless."""
    os.close(os.open("/dev/kmsg", os.O_RDONLY))


def folder() -> None:
    """Write where programs are."""
    Path("/usr/lab-was-here").touch()


def network() -> None:
    """Send a datagram to this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.sendto(b"x", ("127.0.0.1", 9))


def clock() -> None:
    """Set the clock to what it is."""
    time.clock_settime(time.CLOCK_REALTIME, time.time())


for attempt in (device, folder, network, clock):
    try:
        attempt()
    except OSError:
        continue
    print(attempt.__name__)
