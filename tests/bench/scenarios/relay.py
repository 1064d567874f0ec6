"""Relaying: how fast one update reaches everybody, and how many a second get through."""

from tests.bench.bench import Measure, Result, Run, interleaved
from tests.bench.load import Crowd, Work, work
from tests.bench.processes import cpu_seconds, until_quiet, written_bytes
from tests.bench.servers import Server, running
from tests.bench.stats import percentile

CROWDS = (10, 50, 200)
LATENCY_SAMPLES = 400
WARM_SAMPLES = 50
# An update alone, not a stream: the one before has been dealt with.
PAUSE_SECONDS = 0.003
ROUNDS = 5
# Updates an author sends at once, and how many such bursts may be on their way.
BURST = 8
WINDOW = 2
# Rooms, clients of each, bursts of each client.
SHAPES = {"1x20": (1, 20, 75), "50x4": (50, 4, 20)}


def fan_out(run: Run) -> Result:
    """One writes, the others of the room read."""
    result = Result(
        {
            f"{part}-{size}": Measure(f"fan-out to {size} clients, {part}", "ms")
            for size in CROWDS
            for part in ("p50", "p99")
        }
    )
    edits = [burst[0] for burst in work(1, LATENCY_SAMPLES + WARM_SAMPLES, 1).bursts[0]]
    with running(run.kinds, run.folder, run.cores) as servers:
        for number, attempt in interleaved(run, result, servers, run.rounds(ROUNDS, 2)):
            with attempt as server:
                for size in CROWDS:
                    crowd = Crowd(server, f"fan-out-{number}-{size}", 1, size)
                    times = crowd.latencies(edits, PAUSE_SECONDS)[WARM_SAMPLES:]
                    crowd.close()
                    for part, share in (("p50", 0.5), ("p99", 0.99)):
                        value = percentile(times, share) * 1_000
                        result.add(f"{part}-{size}", server.kind.name, value)
    return result


def throughput(run: Run) -> Result:
    """Everybody writes as fast as the others receive."""
    result = Result()
    for shape in SHAPES:
        result.measures |= {
            f"rate-{shape}": Measure(f"deliveries a second, {shape}", "1/s", less=False),
            f"cpu-{shape}": Measure(f"processor time a delivery, {shape}", "µs"),
            f"written-{shape}": Measure(f"bytes written a byte of updates, {shape}", "x"),
        }
    loads = {name: work(shape[1], shape[2], BURST) for name, shape in SHAPES.items()}
    with running(run.kinds, run.folder, run.cores) as servers:
        for number, attempt in interleaved(run, result, servers, run.rounds(ROUNDS)):
            with attempt as server:
                for shape, load in loads.items():
                    _sustain(result, server, shape, load, f"{shape}-{number}")
    return result


def _sustain(result: Result, server: Server, shape: str, load: Work, room: str) -> None:
    rooms, size, _ = SHAPES[shape]
    deliveries = load.updates * rooms * (size - 1)
    crowd = Crowd(server, room, rooms, size)
    until_quiet(server.pid, 0.5)
    cpu, written = cpu_seconds(server.pid), written_bytes(server.pid)
    seconds = crowd.deliver(load, WINDOW)
    # What is put off (a store's turn, LevelDB's) is work for these deliveries too.
    caught_up = until_quiet(server.pid)
    crowd.close()
    name = server.kind.name
    cpu, written = cpu_seconds(server.pid) - cpu, written_bytes(server.pid) - written
    result.add(f"rate-{shape}", name, deliveries / seconds)
    result.add(f"cpu-{shape}", name, cpu / deliveries * 1e6)
    if not caught_up:
        result.notes[name] = "its store lagged behind; what it put off longer is not counted"
        server.kill()
        server.start()
    if server.kind.stores:
        result.add(f"written-{shape}", name, written / (load.update_bytes * rooms))
