"""Where the lab keeps what is costly to make: outside every checkout, named by its ingredients."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Characters of a SHA-256 in a name: plenty against chance, and it stays readable.
KEY_LENGTH = 16

WHY_NOT = "(no network? or old lists, then: sudo apt-get update)"


class LabUnavailable(Exception):
    """The lab cannot be made on this machine; the text is a plain sentence that says what to do."""


def folder() -> Path:
    """The cache, made if need be."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "store-gateway" / "lab"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabUnavailable(
            f"The lab cannot keep its kernel in {path} ({error.strerror}); set XDG_CACHE_HOME."
        ) from None
    return path


def key(*parts: str) -> str:
    """A short name for these texts together."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:KEY_LENGTH]


@contextmanager
def alone() -> Iterator[None]:
    """Let one process at a time make something."""
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Say on standard error what is done and how long it took."""
    began = time.monotonic()
    print(f"lab: {name} ...", file=sys.stderr, flush=True)
    yield
    print(f"lab: {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def ask(*command: str) -> str:
    """What a command printed; nothing if it failed or is not there."""
    if shutil.which(command[0]) is None:
        return ""
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return ended.stdout if ended.returncode == 0 else ""


def tell(command: Sequence[str | Path], where: Path, log: Path, failed: str) -> None:
    """Run a command with its words in a log; raises LabUnavailable with ``failed`` and the last."""
    with log.open("ab") as words:
        ended = subprocess.run(
            command, cwd=where, stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )
    if ended.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise LabUnavailable(f"{failed}; all that was said is in {log}. The end: {''.join(last)}")
