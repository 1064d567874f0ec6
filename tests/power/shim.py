"""Builds the shim, runs a module below it, and speaks to it from inside."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
ROOT = SOURCE.parents[2]
WRITES, SYNCS, ENTRIES = 1, 2, 4
_HEAD_BYTES = 25


@dataclass(frozen=True, slots=True)
class Operation:
    """One recorded call; the kinds are listed in shim.c."""

    kind: str
    inode: int
    offset: int
    path: str
    data: bytes


def build(folder: Path) -> Path:
    """Compile the shim into ``folder``."""
    library = folder / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


def run(library: Path, module: str, *arguments: object, seconds: float = 300.0) -> str:
    """Run a module of the tests with the shim in front of the C library; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"LD_PRELOAD": str(library)},
        stdout=subprocess.PIPE,
        timeout=seconds,
        check=True,
        text=True,
    )
    return done.stdout


@cache
def _here() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def watch(folder: Path) -> None:
    """Record and disturb what happens below ``folder``."""
    _here().shim_watch(os.fsencode(folder))


def record(descriptor: int) -> None:
    """Write records to a descriptor; to none if it is -1."""
    _here().shim_record(descriptor)


def mark(text: str) -> None:
    """Put a mark between the records."""
    _here().shim_mark(text.encode())


def fail(error: int, kinds: int, first: int, times: int) -> None:
    """Let ``times`` calls fail, the first of them ``first`` calls from now."""
    _here().shim_fail(error, kinds, first, times)


def calls() -> int:
    """How many calls of the kinds of the last ``fail`` there were since."""
    count: int = _here().shim_calls()
    return count


def operations(trace: Path) -> Iterator[Operation]:
    """The records of a trace."""
    raw, at = trace.read_bytes(), 0
    while at < len(raw):
        head = raw[at : at + _HEAD_BYTES]
        inode, offset = (int.from_bytes(head[i : i + 8], "little") for i in (1, 9))
        sizes = [int.from_bytes(head[i : i + 4], "little") for i in (17, 21)]
        at += _HEAD_BYTES
        path, data = raw[at : at + sizes[0]], raw[at + sizes[0] : at + sum(sizes)]
        at += sum(sizes)
        yield Operation(chr(head[0]), inode, offset, os.fsdecode(path), data)
