"""For the lab's own tests: pins.py light|watch CHIP LINE drives a GPIO line, or prints its edges.

The kernel's own interface (linux/gpio.h, version 2) by hand, so that the lab needs no library.
"""

import fcntl
import os
import signal
import struct
import sys

# gpio_v2_line_request: offsets, consumer, configuration with flags, number of lines, descriptor.
REQUEST = struct.Struct("64I32sQI20x240xII20xi")
EVENT = struct.Struct("QI36x")
VALUES = struct.Struct("QQ")
GET_LINE = 0xC250B407
SET_VALUES = 0xC010B40F
OUTPUT = 1 << 3
INPUT_BOTH_EDGES = 1 << 2 | 1 << 4 | 1 << 5
EDGES = {1: "up", 2: "down"}


def request(chip: str, line: int, flags: int) -> int:
    """Take a line; returns its descriptor."""
    data = bytearray(REQUEST.pack(line, *([0] * 63), b"lab", flags, 0, 1, 0, 0))
    with open(chip, "rb", buffering=0) as device:  # noqa: PTH123
        fcntl.ioctl(device, GET_LINE, data)
    return int(REQUEST.unpack(data)[-1])


def light(chip: str, line: int) -> None:
    """Drive a line high until killed."""
    fcntl.ioctl(request(chip, line, OUTPUT), SET_VALUES, VALUES.pack(1, 1))
    print("lit", flush=True)
    signal.pause()


def watch(chip: str, line: int) -> None:
    """Print each edge of a line until killed."""
    edges = request(chip, line, INPUT_BOTH_EDGES)
    print("watching", flush=True)
    while True:
        _, kind = EVENT.unpack(os.read(edges, EVENT.size))
        print(EDGES[kind], flush=True)


{"light": light, "watch": watch}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
