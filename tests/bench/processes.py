"""What the kernel knows of a server: processor time, memory, bytes written, fsyncs."""

import os
import re
import time
from pathlib import Path

SYNC_CALLS = "fsync,fdatasync,sync_file_range,msync"
# Work that a server puts off is over once it used less than this much of a core for so long.
QUIET_SHARE = 0.02
QUIET_SECONDS = 2.5
QUIET_LIMIT_SECONDS = 15.0


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for known in found:
        for task in Path(f"/proc/{known}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of one process so far."""
    # The clock id of another process (clock_getcpuclockid(3) in glibc): finer than ticks.
    return time.clock_gettime(~pid << 3 | 2)


def memory_bytes(pid: int) -> int:
    """The proportional share of memory (PSS) of one process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    match = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024


def written_bytes(pid: int) -> int:
    """Bytes one process caused to be written to a disk; pages written twice count twice."""
    return _io(pid, "write_bytes")


def handed_over_bytes(pid: int) -> int:
    """Bytes one process gave to write(2) and its like, sockets included."""
    return _io(pid, "wchar")


def _io(pid: int, name: str) -> int:
    match = re.search(rf"^{name}: (\d+)$", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1])


def until_quiet(
    pid: int, quiet_seconds: float = QUIET_SECONDS, limit_seconds: float = QUIET_LIMIT_SECONDS
) -> bool:
    """Wait until a server does nothing any more; False if it did not come to that in time."""
    deadline = time.monotonic() + limit_seconds
    before = cpu_seconds(pid), written_bytes(pid)
    since = time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(0.25)
        now = cpu_seconds(pid), written_bytes(pid)
        passed = time.monotonic() - since
        if now[0] - before[0] > QUIET_SHARE * quiet_seconds or now[1] != before[1]:
            before, since = now, time.monotonic()
        elif passed >= quiet_seconds:
            return True
    return False


def count_syncs(trace: Path) -> int:
    """Calls in what ``strace -f -o`` wrote that force data to the disk."""
    calls = SYNC_CALLS.replace(",", "|")
    return len(re.findall(rf"\b(?:{calls})\(", trace.read_text(errors="replace")))


class Cores:
    """One core for the servers, the others for the clients; nothing on a machine with one."""

    def __init__(self, *, pin: bool) -> None:
        self.all = os.sched_getaffinity(0)
        self.pinned = pin and len(self.all) > 1
        self.servers = {min(self.all)} if self.pinned else self.all
        self.clients = self.all - self.servers if self.pinned else self.all

    def for_server(self) -> None:
        """What this process starts now is a server."""
        os.sched_setaffinity(0, self.servers)

    def for_clients(self) -> None:
        """From now on this process is the clients."""
        os.sched_setaffinity(0, self.clients)
