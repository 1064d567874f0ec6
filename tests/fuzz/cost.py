"""What the most expensive messages cost: guard and library together, CPU time and memory.

    python -m tests.fuzz.cost            measure all shapes, one JSON object a line
    python -m tests.fuzz.cost --search   find the counts written in LARGEST anew

Every shape is measured in a process of its own, at the largest size the guard lets
through and, if that is below the message limit, at the message limit too, refused.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pycrdt

from gateway.core.errors import PeerError
from gateway.core.guard import Limits, inspect_update
from tests.fuzz import shapes

ROOT = Path(__file__).resolve().parents[2]
MESSAGE_BYTES = Limits().message_bytes
# The bare loop that CPU times are compared with, so that a slow machine judges alike.
LOOPS = 1_000_000

# Count per shape at which the guard just lets it through, found by --search.
LARGEST: dict[str, int] = {
    "one_character_structs": 39_424,
    "same_place": 43_520,
    "same_origin": 49_664,
    "same_right": 49_664,
    "crossing_rights": 864,
    "crossing_rights_up": 864,
    "no_origin_rights": 976,
    "client_stairs": 544,
    "client_chain": 2_000,
    "cut_up": 6_272,
    "cut_by_origins": 4_160,
    "cut_values": 1_824,
    "nested_types": 32,
    "nested_types_deleted": 32,
    "map_overwrites": 39_424,
    "map_rivals": 4_416,
    "map_keys": 24_064,
    "small_maps": 52_224,
    "wide_map": 44_032,
    "small_arrays": 130_048,
    "one_byte_values": 260_096,
    "empty_strings": 130_048,
    "format_marks": 30_720,
    "embedded_json": 87_040,
    "json_numbers": 308,
    "json_escapes": 130_048,
    "json_strings": 65_024,
    "many_clients": 2_000,
    "many_roots": 1_000,
    "collected": 49_664,
    "deleted_structs": 46_080,
    "delete_ranges": 49_664,
    "delete_clients": 2_000,
    "deleted_one_by_one": 31_744,
    "rivals_of_a_long_history": 13_952,
    "cut_emoji": 4_416,
    "cut_strings": 1_824,
    "long_text_few_cuts": 79_872,
    "small_embeds": 18_432,
    "values_nested": 4_288,
    "colliding_clients": 2_000,
    "marks_and_crossings": 544,
}


def build(name: str, count: int) -> bytes:
    """The message of a shape."""
    shape: Callable[[int], bytes] = getattr(shapes, name)
    return shape(count)


def measure(name: str, count: int) -> dict[str, object]:
    """CPU seconds and memory of one message in a fresh process."""
    command = [sys.executable, "-m", "tests.fuzz.cost", name, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures: dict[str, object] = json.loads(done.stdout)
    return figures


def at_message_limit(name: str) -> int:
    """The count that fills a message."""
    return _last(lambda count: len(build(name, count)) <= MESSAGE_BYTES)


def at_guard_limit(name: str) -> int:
    """The largest count the guard lets through, to within 2 %."""
    return _last(lambda count: _accepted(build(name, count)))


def _accepted(data: bytes) -> bool:
    try:
        inspect_update(data)
    except PeerError:
        return False
    return True


def _last(holds: Callable[[int], bool]) -> int:
    low, high = 1, 2
    while holds(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 64):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _measure_here(name: str, count: int) -> dict[str, object]:
    data = build(name, count)
    document: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    document.apply_update(b"\x00\x00")
    loop = min(_loop() for _ in range(3))
    # Writing 5 makes the peak start from what is used now (proc(5)).
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_bytes()
    started = time.process_time()
    accepted = _accepted(data)
    guarded = time.process_time()
    if accepted:
        document.apply_update(data)
    done = time.process_time()
    return {
        "shape": name, "count": count, "bytes": len(data), "accepted": accepted,
        "guard_ms": round(1e3 * (guarded - started), 1),
        "apply_ms": round(1e3 * (done - guarded), 1),
        "megabytes": round((_peak_bytes() - before) / 1e6, 1),
        "loops": round((done - started) / loop, 1),
    }  # fmt: skip


def _loop() -> float:
    started = time.process_time()
    for _ in range(LOOPS):
        pass
    return time.process_time() - started


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1_024


def main(arguments: list[str]) -> None:
    """The command line."""
    if len(arguments) == 2:
        print(json.dumps(_measure_here(arguments[0], int(arguments[1]))))
    elif arguments == ["--search"]:
        for name in LARGEST:
            print(f'    "{name}": {at_guard_limit(name):_},', flush=True)
    else:
        for name, count in LARGEST.items():
            print(json.dumps(measure(name, count)), flush=True)
            most = at_message_limit(name)
            if most > count * 1.02:
                print(json.dumps(measure(name, most)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
