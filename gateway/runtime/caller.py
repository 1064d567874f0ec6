"""Calls another peer again and again, so that there is a link whenever there can be one."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.core.errors import GatewayError
from gateway.ports import Clock, Link

FIRST_PAUSE_SECONDS = 0.5
# A store is a LAN: who is back is to be found soon, and a call costs little. So thousands of
# changes are at both sides within five seconds.
LONGEST_PAUSE_SECONDS = 3.0
# A link that lasted this long was a good one: the next pause is the first again.
STEADY_SECONDS = 10.0


async def keep_calling(
    connect: Callable[[], Awaitable[Link]],
    serve: Callable[[Link], Awaitable[None]],
    on_unreachable: Callable[[GatewayError], None],
    clock: Clock,
    chance: Callable[[], float],
    is_wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Connect, serve the link until it ends, wait, for ever.

    Pauses double from half a second to three. ``chance()``, from 0 to 1, shortens
    each by up to a half, so that many peers do not come back at the same moment.
    Nobody is called while ``is_wanted()`` says no.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = clock.monotonic()
        if is_wanted():
            try:
                link = await connect()
            except GatewayError as error:
                on_unreachable(error)
            else:
                await serve(link)
        if clock.monotonic() - began >= STEADY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(pause * (1 - chance() / 2))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
