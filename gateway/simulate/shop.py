"""The simulated shop while it is open: starts everybody, makes orders, lets things go wrong."""

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError
from gateway.simulate.plan import Device, Happening, Order, Plan
from gateway.simulate.processes import Line, Program
from gateway.simulate.proxy import Way

STARTED_AT_ONCE = 3
TICK_SECONDS = 0.02
SAMPLE_SECONDS = 0.5
# Everybody has a link again: how long it may take until all is quiet, and what quiet is.
CATCH_UP_SECONDS = 90.0
QUIET_SECONDS = 3.0
# A tablet does something about an order so long after it saw it.
WORK_SECONDS = (0.5, 4.0)
NEXT = {"open": "cooking", "cooking": "done"}


@dataclass
class Seen:
    """One order: when it was rung up, saved, and on the first screen of its station."""

    order: Order
    rung_at: float
    saved_at: float | None = None
    seen_at: float | None = None
    # Whether all who had to do with it had a link all the time.
    linked: bool = True


@dataclass
class Happened:
    """A happening as it was: seconds from the beginning."""

    kind: str
    name: str
    began: float
    ended: float


@dataclass
class Record:
    """Everything that was measured; times in seconds from the beginning."""

    orders: dict[str, Seen] = field(default_factory=dict)
    happened: list[Happened] = field(default_factory=list)
    # Orders for its screen that a tablet had not seen, by tablet, with their times.
    behind: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    changes: int = 0
    patches: int = 0
    caught_up_seconds: float = 0.0
    gateway_memory_mb: float = 0.0
    gateway_cpu_seconds: float = 0.0
    refused: list[str] = field(default_factory=list)


class Peer:
    """A device with its process and its way to a gateway."""

    def __init__(self, device: Device, program: Program, way: Way) -> None:
        self.device = device
        self.program = program
        self.way = way
        self.linked = False
        self.busy = False
        self.seen: set[str] = set()


class Shop:
    """``tell(text, share)`` is called with what happens and how far it is (0 to 1)."""

    def __init__(
        self, plan: Plan, folder: Path, gateways: int, seed: int, tell: Callable[[str, float], None]
    ) -> None:
        self.plan = plan
        self.record = Record()
        self._chance = random.Random(seed)
        self._tell = tell
        self._began = time.monotonic()
        self._moved = 0.0
        self._pending: dict[int, str] = {}
        self._number = 0
        self._work: list[tuple[float, Peer, str, str]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._gateways = [
            Program(f"gateway-{number}", folder / f"gateway-{number}", _unread)
            for number in range(1, gateways + 1)
        ]
        self._ports = [0] * gateways
        self.peers: list[Peer] = []
        for device in plan.devices:
            program = Program(device.name, folder / device.name, partial(self._line, device.name))
            self.peers.append(Peer(device, program, Way(0)))
        self._by_name = {peer.device.name: peer for peer in self.peers}

    @property
    def gateway_folders(self) -> dict[str, Path]:
        """Where their stores are."""
        return {program.name: program.folder for program in self._gateways}

    async def run(self) -> None:
        """The whole day. Raises ``GatewayError`` when a process does not start."""
        try:
            await self._open()
            self._began = time.monotonic()
            await self._day()
            await self._catch_up()
            self._measure_gateway()
        finally:
            await self._close()

    def _now(self) -> float:
        return time.monotonic() - self._began

    async def _open(self) -> None:
        for number in range(len(self._gateways)):
            await self._start_gateway(number)
        limit = asyncio.Semaphore(STARTED_AT_ONCE)
        started = 0

        async def start(peer: Peer, number: int) -> None:
            nonlocal started
            async with limit:
                peer.way.target = self._ports[number % len(self._ports)]
                await peer.way.start()
                await self._start_peer(peer)
                started += 1
                self._tell(f"starting devices: {started} of {len(self.peers)}", 0.0)

        async with asyncio.TaskGroup() as tasks:
            for number, peer in enumerate(self.peers):
                tasks.create_task(start(peer, number))
        await self._until(lambda: all(peer.linked for peer in self.peers), CATCH_UP_SECONDS)

    async def _start_gateway(self, number: int) -> None:
        program = self._gateways[number]
        others = [f"127.0.0.1:{port}" for port in self._ports[:number]]
        connect = [part for address in others for part in ("--connect", address)]
        facts = await program.start(
            "run", "--no-pages", "--json", "--port", str(self._ports[number]),
            "--name", program.name, *connect,
        )  # fmt: skip
        if not facts.get("ready"):
            raise GatewayError("simulation", f"{program.name} did not start: {facts}")
        self._ports[number] = int(facts["mesh"].rpartition(":")[2].partition("/")[0])

    async def _start_peer(self, peer: Peer) -> None:
        await peer.program.start(
            "peer", "--name", peer.device.name, "--connect", f"127.0.0.1:{peer.way.port}",
            "--subscribe", peer.device.subscription,
        )  # fmt: skip

    async def _day(self) -> None:
        orders, happenings = list(self.plan.orders), list(self.plan.happenings)
        next_sample = 0.0
        while (now := self._now()) < self.plan.seconds or self._tasks:
            while orders and orders[0].at <= now:
                self._ring_up(orders.pop(0))
            while happenings and happenings[0].at <= now:
                self._begin(happenings.pop(0))
            self._do_work(now)
            if now >= next_sample:
                next_sample += SAMPLE_SECONDS
                self._sample(now)
            self._tell(self._what_now(), min(1.0, now / self.plan.seconds))
            await self._tick()

    def _what_now(self) -> str:
        now = self._now()
        troubles = [one.name for one in self.record.happened if one.began <= now <= one.ended]
        made = f"{len(self.record.orders)} orders"
        return f"{made}; {', '.join(troubles)}" if troubles else made

    def _ring_up(self, order: Order) -> None:
        peer = self.peers[order.kiosk]
        if not peer.program.runs:
            return
        self._ask(peer, "put", order.document, order.content)
        linked = peer.linked and all(
            other.linked for other in self.peers if other.device.station == order.content["station"]
        )
        self.record.orders[order.document] = Seen(order, self._now(), linked=linked)

    def _ask(self, peer: Peer, verb: str, document: str, content: dict[str, Any]) -> None:
        self._number += 1
        self._pending[self._number] = document
        # What is asked for now has to travel yet.
        self._moved = time.monotonic()
        request = {"verb": verb, "document": document, "content": content, "id": self._number}
        peer.program.say(request)

    def _do_work(self, now: float) -> None:
        due = [job for job in self._work if job[0] <= now]
        self._work = [job for job in self._work if job[0] > now]
        for _, peer, document, status in due:
            if peer.program.runs:
                self.record.patches += 1
                self._ask(peer, "patch", document, {"status": status})

    def _begin(self, happening: Happening) -> None:
        task = asyncio.get_running_loop().create_task(self._happen(happening))
        self._tasks.add(task)

    async def _happen(self, happening: Happening) -> None:
        peer = self.peers[happening.who] if happening.kind not in ("gateway", "outage") else None
        name = peer.device.name if peer is not None else "all"
        if peer is not None and peer.busy:
            return
        if happening.kind == "gateway":
            name = self._gateways[happening.who].name
        words = {
            "cut": f"{name} lost its link", "outage": "the gateway cannot be reached",
            "gateway": f"{name} lost power", "peer": f"{name} lost power",
            "restart": f"{name} restarts",
        }  # fmt: skip
        began = self._now()
        one = Happened(happening.kind, words[happening.kind], began, began + happening.lasts)
        self.record.happened.append(one)
        for seen in self.record.orders.values():
            if seen.seen_at is None:
                seen.linked = False
        match happening.kind:
            case "cut":
                assert peer is not None
                peer.way.cut()
            case "outage":
                for other in self.peers:
                    other.way.close()
                await asyncio.sleep(happening.lasts)
                for other in self.peers:
                    other.way.open()
            case "gateway":
                await self._gateways[happening.who].kill()
                await asyncio.sleep(happening.lasts)
                await self._start_gateway(happening.who)
            case _:
                assert peer is not None
                peer.busy = True
                await (peer.program.kill() if happening.kind == "peer" else peer.program.stop())
                peer.linked = False
                await asyncio.sleep(happening.lasts)
                await self._start_peer(peer)
                peer.busy = False
        one.ended = max(one.ended, self._now()) if happening.kind != "cut" else began

    def _line(self, name: str, line: Line) -> None:
        peer = self._by_name[name]
        self._moved = time.monotonic()
        match line.get("event"):
            case "link":
                peer.linked = line["state"] == "open"
            case "change":
                self.record.changes += 1
                self._changed(peer, line["document"], line["content"].get("fields", {}))
            case "refused":
                self.record.refused.append(f"{line['document']}: {line['reason']}")
            case None:
                self._answered(line)

    def _answered(self, line: Line) -> None:
        document = self._pending.pop(line["id"], "")
        seen = self.record.orders.get(document)
        if not line["ok"]:
            self.record.refused.append(f"{document}: {line['error']}")
        elif seen is not None and seen.saved_at is None:
            seen.saved_at = self._now()

    def _changed(self, peer: Peer, document: str, fields: Line) -> None:
        seen = self.record.orders.get(document)
        if seen is None:
            return
        peer.seen.add(document)
        if fields.get("station") != peer.device.station:
            return
        if seen.seen_at is None:
            seen.seen_at = self._now()
        following = NEXT.get(str(fields.get("status")))
        responsible = [p for p in self.peers if p.device.station == peer.device.station]
        number = int(seen.order.content["number"])
        if following is not None and responsible[number % len(responsible)] is peer:
            at = self._now() + self._chance.uniform(*WORK_SECONDS)
            self._work.append((at, peer, document, following))

    def _sample(self, now: float) -> None:
        for peer in self.peers:
            if peer.device.kiosk:
                continue
            # A tablet without a station shows all orders.
            made = {
                name for name, seen in self.record.orders.items()
                if peer.device.station in ("", seen.order.content["station"])
            }  # fmt: skip
            behind = self.record.behind.setdefault(peer.device.name, [])
            behind.append((now, len(made - peer.seen)))

    async def _catch_up(self) -> None:
        began = self._now()
        self._tell("everybody has a link again; waiting until all is quiet", 1.0)
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while time.monotonic() < deadline:
            self._do_work(self._now())
            quiet = time.monotonic() - self._moved > QUIET_SECONDS and not self._work
            if quiet and all(peer.linked for peer in self.peers):
                break
            await self._tick()
        self._sample(self._now())
        self.record.caught_up_seconds = max(0.0, self._now() - began - QUIET_SECONDS)

    async def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not holds() and time.monotonic() < deadline:
            await self._tick()

    async def _tick(self) -> None:
        """Let time pass; a process or a task that failed ends the simulation."""
        await asyncio.sleep(TICK_SECONDS)
        for program in (*(peer.program for peer in self.peers), *self._gateways):
            program.check()
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            task.result()

    def _measure_gateway(self) -> None:
        process = Path("/proc") / str(self._gateways[0].pid)
        status = (process / "status").read_text().splitlines()
        kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        self.record.gateway_memory_mb = kilobytes / 1024
        ticks = (process / "stat").read_text().rpartition(")")[2].split()
        self.record.gateway_cpu_seconds = (int(ticks[11]) + int(ticks[12])) / os.sysconf(
            "SC_CLK_TCK"
        )

    async def _close(self) -> None:
        self._tell("stopping everybody", 1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        programs: Sequence[Program] = [*(peer.program for peer in self.peers), *self._gateways]
        await asyncio.gather(*(program.stop() for program in programs))
        ways = [peer.way for peer in self.peers if peer.way.port]
        await asyncio.gather(*(way.stop() for way in ways))


def _unread(line: Line) -> None:
    """A gateway says one line, when it is ready."""
