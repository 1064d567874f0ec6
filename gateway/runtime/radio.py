"""Keeps the radio going: serves, and when that ends finds out why, repairs one thing, serves again.

Never ends the gateway. What is wrong and what helps is decided in ``core.radio`` and
``core.ladder``; this waits, counts and does.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.core.errors import GatewayError
from gateway.core.ladder import IDLE_SECONDS, Ladder
from gateway.core.radio import (
    OK,
    STARTING,
    UNFOUND,
    Cause,
    Facts,
    Repair,
    Service,
    choose,
    diagnose,
    other,
    section,
)
from gateway.ports import Channel, Clock, Phones, Radio, RadioTools

# How often is looked: a change is noticed after a second, at the cost of a few small files.
LOOK_SECONDS = 1.0
# The service does not end, though its controller is gone or off, or nobody finds it, for so long
# (an advertisement is gone for a moment whenever a phone comes): it is ended.
DEAD_SECONDS = 5.0
# It is not offered after so long: its set-up hangs.
SET_UP_SECONDS = 30.0
# The service ended by a fault of ours.
MISTAKE = "bluetooth-mistake"

log = logging.getLogger("gateway.radio")


class Counted:
    """Satisfies ``Phones``: passes all on and counts who is connected."""

    def __init__(self, phones: Phones) -> None:
        self._phones = phones
        self.connected_now: set[str] = set()

    def connected(self, phone: str) -> None:
        """See ``Phones``."""
        self.connected_now.add(phone)
        self._phones.connected(phone)

    def disconnected(self, phone: str) -> None:
        """See ``Phones``."""
        self.connected_now.discard(phone)
        self._phones.disconnected(phone)

    def all_gone(self) -> None:
        """The radio is lost: whoever was connected is so no more."""
        for phone in sorted(self.connected_now):
            self.disconnected(phone)

    def info(self, phone: str, psm: int) -> bytes:
        """See ``Phones``."""
        return self._phones.info(phone, psm)

    def written(self, phone: str, value: bytes, mtu: int) -> None:
        """See ``Phones``."""
        self._phones.written(phone, value, mtu)

    def room(self, phone: str) -> None:
        """See ``Phones``."""
        self._phones.room(phone)

    def channel(self, phone: str, channel: Channel) -> None:
        """See ``Phones``."""
        self._phones.channel(phone, channel)


class RadioKeeper:
    """``named``: the controller to use, or "" for the first that works."""

    def __init__(
        self, radio: Radio, tools: RadioTools, phones: Phones, clock: Clock, named: str = ""
    ) -> None:
        self._radio = radio
        self._tools = tools
        self._phones = Counted(phones)
        self._clock = clock
        self._named = named
        self._adapter = named
        self._ladder = Ladder()
        self._service = Service()
        self._facts = Facts()
        self._cause: Cause = STARTING
        self._since = clock.monotonic()
        self._repairs = 0
        # Why repairs could not be tried since it last went well.
        self._cannot: dict[Repair, str] = {}

    async def keep(self) -> None:
        """Serve for ever."""
        while True:
            try:
                await self._look()
                await self._serve()
                await self._look()
                before = self._facts
                await self._pause(await self._mend(), before)
            except Exception:
                # A fault of ours takes phones their radio, and nobody the gateway.
                log.exception("looking after the radio failed")
                await asyncio.sleep(IDLE_SECONDS)

    def status(self) -> Mapping[str, Any]:
        """What the status says of Bluetooth."""
        return section(
            self._cause,
            self._clock.monotonic() - self._since,
            self._radio.adapter or self._adapter,
            len(self._phones.connected_now),
            self._repairs,
            tuple(self._cannot.values()),
        )

    async def _serve(self) -> None:
        """Until the service ended, by itself or because its controller is dead."""
        self._radio.use(self._adapter)
        serving = asyncio.ensure_future(self._radio.serve(self._phones))
        try:
            await self._watch(serving)
        finally:
            serving.cancel()
            await asyncio.wait({serving})
            self._phones.all_gone()
            self._service = Service(ended=_code(serving), failures=self._service.failures + 1)

    async def _watch(self, serving: "asyncio.Future[None]") -> None:
        good_since: float | None = None
        offered_at = -DEAD_SECONDS
        deadline = self._clock.monotonic() + SET_UP_SECONDS
        while not serving.done() and self._clock.monotonic() < deadline:
            await asyncio.wait({serving}, timeout=LOOK_SECONDS)
            now = self._clock.monotonic()
            if self._radio.adapter:
                offered_at = now
            await self._is_served(offered=not serving.done() and now - offered_at < DEAD_SECONDS)
            if self._cause in (OK, UNFOUND):
                deadline = now + DEAD_SECONDS
            if self._cause is OK:
                self._cannot.clear()
                good_since = now if good_since is None else good_since
                if self._ladder.served(now - good_since):
                    self._service = replace(self._service, failures=0)

    async def _is_served(self, *, offered: bool) -> None:
        ended = "" if offered else self._service.ended
        phones = len(self._phones.connected_now)
        self._service = replace(self._service, offered=offered, phones=phones, ended=ended)
        await self._look()

    async def _look(self) -> None:
        """Look at all there is, and say what that means."""
        self._facts = await self._tools.facts()
        self._adapter = choose(self._facts, self._named, self._adapter)
        adapter = self._radio.adapter or self._adapter
        cause = diagnose(self._facts, self._service, adapter, named=bool(self._named))
        if cause is not self._cause:
            self._cause, self._since = cause, self._clock.monotonic()
            level = logging.INFO if cause in (OK, STARTING) else logging.WARNING
            log.log(level, "%s", cause.what)

    async def _mend(self) -> float:
        """Do one repair, if one is due; the seconds until the service is worth a try."""
        while True:
            now, other_one = self._clock.monotonic(), bool(self._other())
            step = self._ladder.next(self._cause, now, other=other_one)
            if step.repair is None or await self._repair(step.repair):
                return step.wait_seconds
            self._ladder.impossible(self._clock.monotonic())

    def _other(self) -> str:
        return "" if self._named else other(self._facts, self._adapter)

    async def _repair(self, repair: Repair) -> bool:
        """Do it; whether it could be tried."""
        log.info("repair of the radio: %s", repair.value)
        if repair is Repair.OTHER_ADAPTER:
            self._adapter = self._other()
        elif why_not := await self._tools.repair(repair, self._adapter):
            self._cannot[repair] = why_not
            log.info("%s", why_not)
            return False
        self._cannot.pop(repair, None)
        self._repairs += 1
        return True

    async def _pause(self, seconds: float, before: Facts) -> None:
        """Wait, but not longer than until something changes."""
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK_SECONDS))
            if await self._tools.facts() != before:
                return


def _code(served: "asyncio.Future[None]") -> str:
    """What the service ended with."""
    error = None if served.cancelled() else served.exception()
    if isinstance(error, GatewayError):
        log.info("%s", error.sentence)
        return error.code
    if error is not None:
        log.error("the radio failed", exc_info=error)
        return MISTAKE
    return ""
