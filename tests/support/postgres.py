"""A real PostgreSQL server with a folder and a port of its own.

It writes as durably as in a shop: what was committed is there after ``kill``.
"""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.support.broker import free_port
from tests.support.postgres_cluster import (
    DATABASE,
    PASSWORD,
    USER,
    give,
    owner,
    programs,
    template,
)

START_SECONDS = 30.0
END_SECONDS = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "20",
    # Part of the folder, so that nothing of a killed server stays in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
    "fsync": "on",
}
# postmaster.pid, by lines from 0 (PostgreSQL's pidfile.h).
PID, SEGMENT, STATUS = 0, 6, 7


class PostgresServer:
    """``with PostgresServer(folder) as server``: ``server.url`` is its database.

    ``folder`` gets its log. The data are in a temporary folder, as the user that runs the server
    may not enter the folders of a test; it is gone at the end.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"
        self._log = folder / "postgres.log"
        self._programs, self._environment = programs()
        self._process: subprocess.Popen[bytes] | None = None
        cluster = template(self._programs, self._environment)
        self._home = Path(tempfile.mkdtemp(prefix="store-gateway-postgres-"))
        give(self._home)
        self.data = self._home / "data"
        subprocess.run(["cp", "-R", cluster, self.data], check=True, **owner())

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Not in order: nobody needs what it would still write.
        self.kill()
        self._discard()

    def start(self) -> None:
        """Start it, on the port it had before, and wait until it lets clients in."""
        options = [word for name in SETTINGS for word in ("-c", f"{name}={SETTINGS[name]}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, "-p", str(self.port), *options],
                env=self._environment, cwd=self._home, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, process_group=0, **owner(),
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._ready(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"no server: {self.log()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End all its processes by SIGKILL, as a loss of power would."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        # Each child is a session of its own, so there is no group to kill; and a postmaster that
        # is stopped makes no more of them.
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        children = [os.pidfd_open(pid) for pid in _children(process.pid)]
        for child in children:
            signal.pidfd_send_signal(child, signal.SIGKILL)
        process.kill()
        process.wait(timeout=END_SECONDS)
        for child in children:
            # Readable: it has ended. None may hold the memory when the server starts again.
            ended, _, _ = select.select([child], [], [], END_SECONDS)
            os.close(child)
            assert ended

    def stop(self) -> None:
        """End it in order; clients are disconnected."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=END_SECONDS)

    @property
    def pid(self) -> int:
        """The process that the others are children of."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the database's owner; each statement is a transaction."""
        return psycopg.connect(self.url, autocommit=True)

    def _ready(self, pid: int) -> bool:
        lines = self._postmaster()
        return len(lines) > STATUS and lines[PID] == str(pid) and lines[STATUS] == "ready"

    def _postmaster(self) -> list[str]:
        try:
            text = (self.data / "postmaster.pid").read_text()
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _discard(self) -> None:
        lines = self._postmaster()
        if len(lines) > SEGMENT and lines[SEGMENT]:
            # A killed server leaves its segment of shared memory to its next start.
            command = ["ipcrm", "--shmem-id", lines[SEGMENT].split()[1]]
            subprocess.run(command, capture_output=True)
        shutil.rmtree(self._home)


def _children(pid: int) -> list[int]:
    """Processes whose parent this is (proc_pid_stat(5), field 4)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found
