"""A thousand stores at a hub: what its workers, its broker and its database take for each."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from paho.mqtt.client import Client, MQTTMessage

from gateway.core.bridge_items import Ping, Wants
from gateway.core.document import Document
from gateway.core.guard import inspect_update
from tests.bench.bench import Measure, Result, Run
from tests.bench.hub_compare import COLLECTION, ComparingGateway, Exchanges, Shelf
from tests.bench.hub_site import BROKER, DATABASE, PARTS, SITES, WORKER, Site
from tests.bench.mqtt_load import LoadFailed, hold, publish
from tests.bench.servers import ROOT as CHECKOUT
from tests.bench.stats import percentile
from tests.bench.stores import MERGED, Published, SimulatedStore, changes
from tests.support.cloud import HandGateway
from tests.support.hub import BrokerGateway

STORES, QUICK_STORES = 1_000, 100
# What waited is a hundred times as much in each round.
ROUNDS, MERGED_ROUNDS = 2, 1
# Documents of each store, and of how many stores, that compare.
COMPARED = ((200, 100), (20, 1_000), (2, 10_000))
DIFFERING = 3
# Changes one after the other, and what is between two.
TURNS, QUICK_TURNS = 300, 50
PAUSE_SECONDS = 0.02
ARRIVAL_SECONDS = 20.0
MICRO, MILLI, KILO = 1e6, 1e3, 1_024

Work = dict[str, Sequence[Published]]


def hub(run: Run) -> Result:
    """All of it, by the broker and the database."""
    result = Result(dict(_measures()))
    # Workers, brokers and database share all cores, as the load is made before.
    os.sched_setaffinity(0, run.cores.all)
    try:
        for at in SITES:
            with at(run.folder / at.__name__) as site:
                run.say(f"  {site.name}")
                try:
                    _all(run, result, site)
                except (AssertionError, LoadFailed) as error:
                    result.failures[site.name] = f"{error}"[:200]
    finally:
        run.cores.for_clients()
    return result


def _measures() -> Iterator[tuple[str, Measure]]:
    for kind, title in (("live", "one change a message"), ("merged", "what waited, 100 a message")):
        for count in (1, 2):
            yield (
                f"{kind}-{count}",
                Measure(f"changes a second, {title}, workers: {count}", "1/s", less=False),
            )
        yield f"{kind}-gain", Measure(f"{title}: two workers beside one", "x", less=False)
        for part in PARTS:
            yield f"{kind}-{part}", Measure(f"processor time a change, {title}: {part}", "µs")
        yield f"{kind}-in", Measure(f"processor time a change, {title}: broker takes it", "µs")
    yield "floor", Measure("one worker's time beside a consumer that only does this", "x")
    yield from _of_stores()


def _of_stores() -> Iterator[tuple[str, Measure]]:
    for part in PARTS:
        yield f"come-{part}", Measure(f"processor time a gateway that comes: {part}", "µs")
    for _, documents in COMPARED:
        of = f"a store of {documents:,} documents compares"
        for how in ("fingerprints not known", "equal", f"{DIFFERING} differ"):
            for part in (WORKER, DATABASE):
                yield f"{how}-{documents}-{part}", Measure(f"{of}, {how}: {part}", "ms")
            yield f"{how}-{documents}-bytes", Measure(f"{of}, {how}: both ways", "B")
    yield "start", Measure("memory of a worker at the start", "MB")
    yield "store-memory", Measure("memory of a worker for each store", "kB")
    yield "database-memory", Measure("memory of the database at the end", "MB")
    yield "broker-memory", Measure("memory of the broker at the start", "MB")
    yield "gateway-memory", Measure("memory of the broker for each gateway connected", "kB")
    yield "disk", Measure("disk for each document of an order with its 4 changes", "B")
    for name, title in (("p50", "gateway to gateway through the hub, p50"), ("p99", "p99")):
        yield name, Measure(title, "ms")
        yield f"straight-{name}", Measure(f"the same through the broker alone, {name}", "ms")


def _all(run: Run, result: Result, site: Site) -> None:
    stores = [SimulatedStore(n) for n in range(QUICK_STORES if run.quick else STORES)]
    _connections(result, site, stores)
    _coming(result, site, stores)
    rounds = run.rounds(ROUNDS)
    run.say("  live")
    each = site.queue // STORES
    live = [store.live(1 + 3 * (rounds + 1) * each) for store in stores]
    _rates(result, site, "live", rounds, lambda count: _next(stores, live, each * count))
    result.add("disk", site.name, site.disk_bytes() / site.documents())
    for floor in ("acknowledges", "inserts"):
        _floor(result, site, floor, _next(stores, live, each))
    run.say("  merged")
    merged = [store.merged(MERGED * 3 * MERGED_ROUNDS) for store in stores]
    _rates(result, site, "merged", MERGED_ROUNDS, lambda count: _next(stores, merged, count))
    run.say("  comparisons")
    for count, documents in COMPARED:
        if not run.quick or documents * count <= 20_000:
            _compared(result, site, count, documents)
    run.say("  latency")
    with site.workers(1):
        _latency(result, site, run.rounds(TURNS, QUICK_TURNS))
        result.add("database-memory", site.name, site.memory()[DATABASE] / KILO**2)


def _client_id(store: SimulatedStore) -> str:
    return f"store-gateway-{store.peer.hex()}"


def _next(
    stores: Sequence[SimulatedStore], messages: Sequence[Iterator[Published]], count: int
) -> Work:
    """The next messages of each store."""
    return {
        _client_id(store): list(itertools.islice(of, count))
        for store, of in zip(stores, messages, strict=True)
    }


def _connections(result: Result, site: Site, stores: Sequence[SimulatedStore]) -> None:
    """Gateways that are connected and do nothing."""
    before = site.memory()[BROKER]
    result.add("broker-memory", site.name, before / KILO**2)
    topics = {_client_id(one): [one.topics.down, one.topics.hub] for one in stores}
    after: list[int] = []
    asyncio.run(hold(site.ports, topics, site.login, lambda: after.append(site.memory()[BROKER])))
    result.add("gateway-memory", site.name, (after[0] - before) / len(stores) / KILO)


def _coming(result: Result, site: Site, stores: Sequence[SimulatedStore]) -> None:
    """Gateways say what they want."""
    with site.workers(1):
        before = site.memory()[WORKER]
        result.add("start", site.name, before / KILO**2)
        work: Work = {_client_id(one): [one.greeting(COLLECTION)] for one in stores}
        _, used, _ = _drain(site, work)
        for part, seconds in used.items():
            result.add(f"come-{part}", site.name, seconds / len(stores) * MICRO)
        grown = site.memory()[WORKER] - before
        result.add("store-memory", site.name, grown / len(stores) / KILO)


def _drain(site: Site, work: Work) -> tuple[float, dict[str, float], float]:
    """Fill the queue while the workers are stopped, and let them take it.

    Returns the seconds of the workers, what each part used then, and the broker before.
    """
    many = sum(map(len, work.values()))
    taken, start = site.count("messages"), site.used()
    with site.stopped():
        reasons = asyncio.run(publish(site.ports, work, site.login))
        assert sum(n for reason, n in reasons.items() if reason < 0x80) == many, reasons
        before, began = site.used(), time.monotonic()
    seconds = site.reached("messages", taken + many) - began
    after = site.used()
    return (
        seconds,
        {part: after[part] - before[part] for part in PARTS},
        before[BROKER] - start[BROKER],
    )


def _rates(result: Result, site: Site, kind: str, rounds: int, work: Any) -> None:
    """Each round by one worker and by two, each of which has as much to do."""
    for _ in range(rounds):
        rates = []
        for count in (1, 2):
            load: Work = work(count)
            many = sum(one.changes for of in load.values() for one in of)
            with site.workers(count):
                wrong = site.count("wrong")
                seconds, used, filled = _drain(site, load)
                assert site.count("wrong") == wrong, "messages were not taken"
            rates.append(many / seconds)
            result.add(f"{kind}-{count}", site.name, many / seconds)
            if count == 1:
                for part in PARTS:
                    result.add(f"{kind}-{part}", site.name, used[part] / many * MICRO)
                result.add(f"{kind}-in", site.name, filled / many * MICRO)
        result.add(f"{kind}-gain", site.name, rates[1] / rates[0])


def _floor(result: Result, site: Site, what: str, work: Work) -> None:
    """A process that does next to nothing, from the same queue."""
    count = sum(map(len, work.values()))
    given = {**site.intake, "table": site.table if what == "inserts" else "", "count": count}
    command = [sys.executable, "-m", "tests.bench.rivals.hub_floor", json.dumps(given)]
    case = f"{site.name}, {what}"
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        asyncio.run(publish(site.ports, work, site.login))
        process.send_signal(signal.SIGCONT)
        found: Mapping[str, float] = json.loads(process.stdout.readline())
    result.add("live-1", case, count / found["seconds"])
    result.add("live-worker", case, found["used"] / count * MICRO)
    ours = result.values["live-worker"][site.name]
    result.add("floor", case, sorted(ours)[len(ours) // 2] / (found["used"] / count * MICRO))


def _compared(result: Result, site: Site, count: int, documents: int) -> None:
    """So many stores compare: just filled, then equal, then with documents that differ."""
    written: dict[str, Document] = {}
    for change in changes(0, documents):
        held = written.setdefault(change.document, Document(change.document))
        held.apply([(change.update, inspect_update(change.update))])
    shelf = Shelf(written)
    with ExitStack() as stack:
        stack.enter_context(site.workers(1))
        key = bytes.fromhex(site.running[0].facts["key"])
        gateways = [ComparingGateway(10 * documents + n, shelf, key) for n in range(count)]
        exchanges = stack.enter_context(Exchanges(site, gateways))
        work: Work = {
            f"store-gateway-{number:032x}": list(gateway.filling())
            for number, gateway in enumerate(gateways)
        }
        asyncio.run(publish(site.ports, work, site.login))
        site.reached("messages", sum(map(len, work.values())))
        site.until_idle()
        for how in ("fingerprints not known", "equal"):
            _exchange(result, site, exchanges, f"{how}-{documents}", count)
        newer = shelf.beyond(DIFFERING)
        for gateway in gateways:
            gateway.on(newer)
        changed = site.count("changes")
        _exchange(result, site, exchanges, f"{DIFFERING} differ-{documents}", count)
        assert site.count("changes") - changed == DIFFERING * count, "not in sync afterwards"


def _exchange(result: Result, site: Site, exchanges: Exchanges, name: str, count: int) -> None:
    before, answered = site.used(), site.count("answered")
    exchanges.begin()
    site.reached("answered", answered + count)
    # Where documents differ it goes on.
    site.until_idle()
    after = site.used()
    for part in (WORKER, DATABASE):
        result.add(f"{name}-{part}", site.name, (after[part] - before[part]) / count * MILLI)
    octets = exchanges.up_bytes + exchanges.down_bytes
    result.add(f"{name}-bytes", site.name, octets / count)


class _Listener(BrokerGateway):
    """Notes when something came."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.came = threading.Event()
        self.at = 0.0
        super().__init__(*arguments, **named)

    def _connected(self, client: Client, *_: object) -> None:
        topics = self.gateway.topics
        client.subscribe([(topics.down, 1), (topics.projected, 1)])

    def _message(self, client: Client, data: object, message: MQTTMessage) -> None:
        self.at = time.perf_counter()
        self.came.set()


def _latency(result: Result, site: Site, turns: int) -> None:
    """A change from one gateway of a store to another, and the same octets without the hub."""
    one, other = HandGateway(4), HandGateway(5)
    there = [
        stack(
            site.ports[0], gateway,
            client_id=f"store-gateway-{gateway.peer.hex()}",
            user=site.login.user, password=site.login.password,
        )
        for stack, gateway in ((BrokerGateway, one), (_Listener, other))
    ]  # fmt: skip
    sender, listener = there
    assert isinstance(listener, _Listener)
    with sender, listener:
        listener.say(Wants((COLLECTION,)), Ping(1))
        assert listener.came.wait(ARRIVAL_SECONDS)
        found: dict[str, list[float]] = {"": [], "straight-": []}
        for number in range(turns):
            (message,) = one.say(one.put(f"{COLLECTION}/1", n=number))
            for way, topic in (("", message.topic), ("straight-", other.topics.projected)):
                time.sleep(PAUSE_SECONDS)
                listener.came.clear()
                began = time.perf_counter()
                sender.publish(topic, message.payload)
                assert listener.came.wait(ARRIVAL_SECONDS), "a change did not come"
                found[way].append((listener.at - began) * MILLI)
    for way, values in found.items():
        result.add(f"{way}p50", site.name, percentile(values, 0.5))
        result.add(f"{way}p99", site.name, percentile(values, 0.99))
