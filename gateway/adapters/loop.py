"""The event loop: uvloop, several times faster than the stock loop at many small writes."""

import asyncio

import uvloop


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A fresh event loop."""
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    # uvloop 0.23 can crash in debug mode on Python 3.12 and newer (uvloop#730).
    loop.set_debug(False)
    return loop
