"""Where the lab keeps what is costly to make: outside every checkout, named by its ingredients."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import debian

# The lab cannot be made on this machine; the text is a plain sentence that says what to do.
LabUnavailable = debian.Unavailable


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
