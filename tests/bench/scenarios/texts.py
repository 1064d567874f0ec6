"""Long runs of text in one room: do they slow the relay of another?"""

from pycrdt import Doc, Text

from gateway.core import y_messages as y
from tests.bench.bench import Measure, Result, Run, interleaved
from tests.bench.load import Crowd, work
from tests.bench.processes import until_quiet
from tests.bench.servers import Server, running
from tests.bench.stats import percentile
from tests.bench.wire import join

SAMPLES = 300
WARM_SAMPLES = 30
PAUSE_SECONDS = 0.003
ROUNDS = 5
RUN_CHARACTERS = 1_000_000
PASTE_CHARACTERS = 100_000
TYPED = "wort "


def texts(run: Run) -> Result:
    """Just before each measured update somebody types in another room.

    Quiet: at the end of a short text. Busy: at the end of a long one, which libraries keep
    as one run. The measured update waits for what came before it.
    """
    result = Result(
        {
            "quiet": Measure("relay while somebody types in a short text, p50", "ms"),
            "busy": Measure(
                f"relay while somebody types in {RUN_CHARACTERS:,} characters, p50", "ms"
            ),
            "busy-p99": Measure("the same, p99", "ms"),
            "slower": Measure("long text against short text, p50", "x"),
        }
    )
    edits = [burst[0] for burst in work(1, SAMPLES, 1).bursts[0]]
    typing = {"quiet": _typing(1, 0), "busy": _typing(2, RUN_CHARACTERS)}
    with running(run.kinds, run.folder, run.cores) as servers:
        for number, attempt in interleaved(run, result, servers, run.rounds(ROUNDS, 2)):
            with attempt as server:
                if server.kind.stores:
                    p50 = {}
                    for name, updates in typing.items():
                        times = _measure(server, f"{name}-{number}", updates, edits)
                        p50[name] = percentile(times, 0.5) * 1_000
                        result.add(name, server.kind.name, p50[name])
                    result.add("busy-p99", server.kind.name, percentile(times, 0.99) * 1_000)
                    result.add("slower", server.kind.name, p50["busy"] / p50["quiet"])
    return result


def _measure(server: Server, name: str, updates: list[bytes], edits: list[bytes]) -> list[float]:
    room, dialect = f"text-{name}", server.kind.dialect
    frames = [dialect.frames(room, y.update(update)) for update in updates]
    typist, _ = join(server, dialect, room)
    with typist, Crowd(server, f"beside-{name}", 1, 2) as crowd:
        pasted, typed = frames[:-SAMPLES], frames[-SAMPLES:]
        for frame in pasted:
            typist.sendall(frame)
        until_quiet(server.pid, 1.0)
        times = crowd.latencies(edits, PAUSE_SECONDS, lambda number: typist.sendall(typed[number]))
        return times[WARM_SAMPLES:]


def _typing(client: int, characters: int) -> list[bytes]:
    """A text pasted in pieces, then ``SAMPLES`` times a word at its end."""
    doc: Doc = Doc(client_id=client)
    text = doc.get("text", type=Text)
    updates, length = [], 0
    pieces = ["x" * PASTE_CHARACTERS] * (characters // PASTE_CHARACTERS) + [TYPED] * SAMPLES
    for piece in pieces:
        before = doc.get_state()
        text.insert(length, piece)
        length += len(piece)
        updates.append(doc.get_update(before))
    return updates
