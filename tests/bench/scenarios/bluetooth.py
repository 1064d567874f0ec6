"""The gateway in the virtual Pi and phones that are another Bluetooth stack: what a link carries.

Ratios to tests/lab/pi/guest/bare.py, which uses BlueZ's descriptors and a bare socket, in the same
guest over the same connection. The air is clear, where processors are the limit, or as fast as a
good radio.
"""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from copy import copy
from functools import partial
from pathlib import Path

from gateway.core.opening import TX
from tests.bench import day
from tests.bench.bench import Measure, Result, Run
from tests.bench.servers import GATEWAY
from tests.bench.stats import percentile
from tests.core.edits import Author
from tests.lab.pi import release
from tests.lab.pi.air import Air
from tests.lab.pi.bare import Bare
from tests.lab.pi.cache import LabUnavailable
from tests.lab.pi.kernel import missing
from tests.lab.pi.machine import parts as lab_parts
from tests.lab.pi.member import GattLink, Member, Refused
from tests.lab.pi.radio import Conditions
from tests.lab.pi.store import PYTHON, Store, store

OURS = GATEWAY.name
BARE = "bare"

# A status change is so long; it has a mark in it.
STATUS_BYTES = 45
SAMPLES = 100
MESSAGES = 1_000
# So many changes are under way at once when they are counted by the thousand.
BURST = 8

# What a good radio brings (docs/bluetooth.md), and a poor one.
RADIO = 60_000.0
POOR = 20_000.0
# Bytes moved one way for a figure, in documents that nobody would cut.
DOCUMENTS, DOCUMENT_BYTES = 12, 30_000
AIRS = {"": None, "-radio": RADIO}

KB = 1e3
STATUS, DAY = "orders/status", "orders/2026-11-25"
BARE_PROGRAM = (*PYTHON, "-m", "tests.lab.pi.guest.bare")
LIVE_PAUSE_SECONDS = 0.5

# Seconds each way, so that round trips can be told from work.
FAR_SECONDS = 0.5

PHONES = 8
SHARE_BYTES = 30_000
LIMIT_SECONDS = 180.0
TICKS_A_SECOND = 100


def measures() -> dict[str, Measure]:
    """All there are."""
    found = {
        "status-bytes": Measure("status change: the update", "B"),
        "overhead-up": Measure(f"status change of {STATUS_BYTES} bytes, written: beyond it", "B"),
        "overhead-down": Measure("the same, notified: beyond it", "B"),
        "segments-up": Measure("the same: writes a change", ""),
        "segments-down": Measure("the same: notifications a change", ""),
        "acks": Measure("the same: what goes the other way for it, acks above all", "B"),
        "status": Measure("a status change from phone to phone, p50", "ms"),
    }
    for suffix, rate in AIRS.items():
        where = f"air of {rate / 1e3:.0f} kB/s" if rate else "clear air"
        for way, by in (("gatt", "GATT"), ("channel", "L2CAP")):
            for direction in ("up", "down"):
                title = f"{by} {direction}, {where}"
                found[f"{way}-{direction}{suffix}"] = Measure(title, "kB/s", less=False)
    return found | {
        "round-trips": Measure("an enrolled phone connects: round trips to its document", ""),
        "day": Measure(f"a day of {day.ORDERS:,} orders in one document at 20 kB/s", "s"),
        "day-bytes": Measure("the same: notified", "kB"),
        "day-live": Measure("the same: a live change meanwhile, slowest", "s"),
        "documents": Measure(f"the same {day.ORDERS:,} orders, a document each", "s"),
        "documents-bytes": Measure("the same: notified", "kB"),
        "documents-live": Measure("the same: a live change meanwhile, slowest", "s"),
        "all": Measure(f"{PHONES} phones write {SHARE_BYTES // 1_000} kB each: all have all", "s"),
        "spread": Measure("the same: slowest phone beside fastest", "x"),
        "written-spread": Measure("the same: until its own is on the disk, slowest", "x"),
        "cpu": Measure("processor time of 1,000 status changes from phone to phone", "s"),
        "memory": Measure("memory of the gateway for each phone", "MB"),
    }


def bluetooth(run: Run) -> Result:
    """All of it, in one boot a round."""
    result = Result(measures())
    try:
        if missing():
            raise LabUnavailable(f"the lab's kernel needs {', '.join(missing())}; see ./dev lab")
        lab_parts(release.host())
    except LabUnavailable as error:
        result.notes["bluetooth"] = f"not measured, as the lab does not run here: {error}"
        return result
    for number in range(run.rounds(3)):
        folder = run.folder / f"{number}"
        folder.mkdir()
        run.cores.for_server()
        asyncio.run(_round(run, result, folder))
    return result


async def _round(run: Run, result: Result, folder: Path) -> None:
    air = Air()
    async with AsyncExitStack() as stack:
        shop = await stack.enter_async_context(store(folder, air))
        run.cores.for_clients()
        await shop.pi.spawn("bare", *BARE_PROGRAM)
        await shop.pi.until("/run/bare.log", "registered")
        one, two = [await _joined(stack, shop, number) for number in (1, 2)]
        parts: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("status changes", lambda: _status(result, one, two)),
            ("eight phones", lambda: _eight(result, shop, stack, [one, two])),
            ("a thousand", lambda: _thousand(result, shop, one, two)),
            ("goodput", lambda: _goodput(result, shop, one, two)),
            ("round trips", lambda: _first_document(result, shop, one)),
            ("a day", lambda: _day(result, shop, one, two)),
            ("a document for each order", lambda: _documents(result, shop, one, two)),
        )
        for name, part in parts:
            run.say(f"  {name}")
            await part()


async def _joined(stack: AsyncExitStack, shop: Store, number: int) -> Member:
    member = await stack.enter_async_context(Member(shop.air, number, "notes", "orders"))
    await shop.pair(member)
    return member


async def _status(result: Result, one: Member, two: Member) -> None:
    """Changes of the status of one order, one at a time."""
    await _carry(one, two, 0)
    up, down = copy(link(one)), copy(link(two))
    times, size = [], 0
    for number in range(1, SAMPLES + 1):
        began = time.perf_counter()
        await _carry(one, two, number)
        times.append(time.perf_counter() - began)
        size += len(one.rows[STATUS][-1])
    written = link(one).written_bytes - up.written_bytes
    notified = link(two).notified_bytes - down.notified_bytes
    other = link(one).notified_bytes - up.notified_bytes
    other += link(two).written_bytes - down.written_bytes
    result.add("status", OURS, percentile(times, 0.5) * 1_000)
    result.add("status-bytes", OURS, size / SAMPLES)
    result.add("overhead-up", OURS, (written - size) / SAMPLES)
    result.add("overhead-down", OURS, (notified - size) / SAMPLES)
    result.add("segments-up", OURS, (link(one).writes - up.writes) / SAMPLES)
    result.add("segments-down", OURS, (link(two).notifications - down.notifications) / SAMPLES)
    result.add("acks", OURS, other / SAMPLES)


async def _thousand(result: Result, shop: Store, one: Member, two: Member) -> None:
    """Many status changes, some of them under way at once."""
    spent = await _cpu(shop)
    for first in range(0, MESSAGES, BURST):
        # An app begins a new document now and then, too.
        document = f"{STATUS}-{first // SAMPLES}"
        for number in range(first, first + BURST - 1):
            one.change(document, *_entry(number))
        await _carry(one, two, first + BURST - 1, document)
    result.add("cpu", OURS, await _cpu(shop) - spent)


async def _carry(one: Member, two: Member, number: int, document: str = STATUS) -> None:
    """One status change, until the other phone has it."""
    key, value = _entry(number)
    one.change(document, key, value)
    await two.until(_has(two, document, value))


def _entry(number: int) -> tuple[str, str]:
    """Of a map of states by order; the update of it has ``STATUS_BYTES``."""
    return f"order-{number:07}", f"preparing-{number:06}"


async def _goodput(result: Result, shop: Store, one: Member, two: Member) -> None:
    """Ours and the bare one, by the same connection, in turn."""
    bare = Bare(one.phone)
    await bare.start()
    await two.leave()
    for way in ("gatt", "channel"):
        for suffix, rate in AIRS.items():
            shop.air.weather(one.phone.name, Conditions(rate=rate))
            for direction in ("up", "down"):
                case = f"{way}-{direction}{suffix}"
                found = await bare.moved(way, direction, DOCUMENTS * DOCUMENT_BYTES)
                result.add(case, BARE, found / KB)
                ours = await (_up(one) if direction == "up" else _down(shop, one))
                result.add(case, OURS, ours / KB)
        shop.air.weather(one.phone.name, Conditions())
        if way == "gatt":
            await one.move()
    await two.meet()


async def _up(one: Member) -> float:
    """Bytes a second of what a phone writes, until all is on the gateway's disk."""
    names = _names(DOCUMENTS)
    began = time.monotonic()
    for name in names:
        one.change(name, "data", os.urandom(DOCUMENT_BYTES))
    await one.until(lambda: all(one.delivered(name) for name in names), LIMIT_SECONDS)
    return DOCUMENTS * DOCUMENT_BYTES / (time.monotonic() - began)


async def _down(shop: Store, one: Member) -> float:
    """Bytes a second of what a phone is notified, from when it has the first of it."""
    names = _names(DOCUMENTS)
    writing = asyncio.create_task(shop.write((name, _random(DOCUMENT_BYTES)) for name in names))
    await one.until(lambda: any(name in one.rows for name in names), LIMIT_SECONDS)
    began, before = time.monotonic(), sum(name in one.rows for name in names)
    await one.until(lambda: all(name in one.rows for name in names), LIMIT_SECONDS)
    seconds = time.monotonic() - began
    await writing
    return (DOCUMENTS - before) * DOCUMENT_BYTES / seconds


async def _first_document(result: Result, shop: Store, one: Member) -> None:
    """Of a phone that was paired, after connection, discovery and MTU."""
    await one.leave()
    await shop.write([("notes/first", _random(100))])
    await one.connect()
    for uuid in TX:
        await one.phone.learn(uuid)
    shop.air.weather(one.phone.name, Conditions(delay=FAR_SECONDS))
    began = time.monotonic()
    await one.begin()
    await one.until(lambda: "notes/first" in one.rows)
    # What is left is work of both sides.
    result.add("round-trips", OURS, round((time.monotonic() - began) / (2 * FAR_SECONDS)))
    shop.air.weather(one.phone.name, Conditions())


async def _day(result: Result, shop: Store, one: Member, two: Member) -> None:
    """A phone that was away all day, and the changes of the moment, on a poor radio."""
    await one.leave()
    await shop.write([(DAY, day.one_document())])
    await two.until(lambda: DAY in two.rows, LIMIT_SECONDS)
    await _back(result, "day", shop.air, one, two, lambda: DAY in one.rows)
    assert one.fingerprints()[DAY] == two.fingerprints()[DAY]


async def _documents(result: Result, shop: Store, one: Member, two: Member) -> None:
    """The same with a document for each order."""
    for member in (one, two):
        await member.leave()
    orders = dict(day.documents())
    await shop.fill(orders.items())
    await two.meet()
    await two.until(lambda: orders.keys() <= two.rows.keys(), LIMIT_SECONDS)
    await _back(result, "documents", shop.air, one, two, lambda: orders.keys() <= one.rows.keys())


async def _back(
    result: Result, case: str, air: Air, one: Member, two: Member, whole: Callable[[], bool]
) -> None:
    """A phone comes back by a poor radio and is sent what it missed."""
    air.weather(one.phone.name, Conditions(rate=POOR))
    await one.meet()
    began = time.monotonic()
    live = asyncio.create_task(_live(one, two, whole))
    await one.until(whole, LIMIT_SECONDS)
    result.add(case, OURS, time.monotonic() - began)
    result.add(f"{case}-bytes", OURS, link(one).notified_bytes / KB)
    result.add(f"{case}-live", OURS, max(await live))
    air.weather(one.phone.name, Conditions())


async def _live(one: Member, two: Member, whole: Callable[[], bool]) -> list[float]:
    """How long changes of the other phone took until this one was sent everything.

    The last one waits for the phone itself, which then takes in what it was sent, and is left out.
    """
    times: list[float] = []
    while True:
        value = os.urandom(8).hex()
        began = time.monotonic()
        two.change("notes/live", "now", value)
        await one.until(_has(one, "notes/live", value), LIMIT_SECONDS)
        if whole():
            return times
        times.append(time.monotonic() - began)
        await asyncio.sleep(LIVE_PAUSE_SECONDS)


async def _eight(result: Result, shop: Store, stack: AsyncExitStack, known: list[Member]) -> None:
    """All places are taken, and all write at once; then one more comes."""
    memory = await _memory(shop)
    more = [await _joined(stack, shop, number) for number in range(3, PHONES + 1)]
    members = known + more
    result.add("memory", OURS, (await _memory(shop) - memory) / len(more) / 1_000)
    names = _names(PHONES)
    named = list(zip(members, names, strict=True))
    began = time.monotonic()
    for member, name in named:
        member.change(name, "data", os.urandom(SHARE_BYTES))

    async def passed(member: Member, reached: Callable[[], bool]) -> float:
        await member.until(reached, LIMIT_SECONDS)
        return time.monotonic() - began

    whole = asyncio.gather(*(passed(member, _all(member, names)) for member in members))
    written = await asyncio.gather(
        *(passed(member, partial(member.delivered, name)) for member, name in named)
    )
    result.add("written-spread", OURS, max(written) / min(written))
    result.add("spread", OURS, max(await whole) / min(await whole))
    result.add("all", OURS, max(await whole))
    ninth = await stack.enter_async_context(Member(shop.air, PHONES + 1))
    try:
        await ninth.meet()
        refused = 0
    except Refused as refusal:
        refused = refusal.code
    # INFO says so by place 0, or a refusal by its code.
    result.notes["the ninth phone"] = f"refused with {refused}" if refused else "was let in"
    for member in (*more, ninth):
        await member.leave()


async def _memory(shop: Store) -> float:
    """What the gateway has in memory for itself, in kB; the lab's kernel knows no PSS."""
    pid = await shop.pi.read("/run/gateway.pid")
    found = re.search(r"RssAnon:\s+(\d+)", await shop.pi.read(f"/proc/{pid}/status"))
    assert found is not None
    return float(found[1])


async def _cpu(shop: Store) -> float:
    """Seconds of processor that the gateway used so far (proc(5), stat)."""
    pid = await shop.pi.read("/run/gateway.pid")
    fields = (await shop.pi.read(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def link(member: Member) -> GattLink:
    """The link of a member that has one."""
    assert member.link is not None
    return member.link


def _all(member: Member, names: list[str]) -> Callable[[], bool]:
    return lambda: all(name in member.rows for name in names)


def _has(member: Member, document: str, text: str) -> Callable[[], bool]:
    mark = text.encode()
    return lambda: any(mark in row for row in member.rows.get(document, ())[-2 * BURST :])


def _names(count: int) -> list[str]:
    return [f"notes/{os.urandom(8).hex()}" for _ in range(count)]


def _random(size: int) -> bytes:
    """An update with bytes that nothing makes smaller."""
    return Author(int.from_bytes(os.urandom(4))).set("data", os.urandom(size))
