"""The servers under test behind one interface; every one with a data folder on a disk."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.processes import SYNC_CALLS, Cores
from tests.bench.wire import HOCUSPOCUS, PLAIN, Dialect

ROOT = Path(__file__).resolve().parents[2]
RIVALS = Path(__file__).resolve().parent / "rivals"
BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
START_SECONDS = 30.0
STOP_SECONDS = 30.0

Command = Callable[[int, Path], list[str]]


class NotInstalled(Exception):
    """A rival is missing; the text says what to do."""


@dataclass(frozen=True)
class Kind:
    """A server that can be started. ``path``: in front of a room's name in its URL."""

    name: str
    title: str
    command: Command
    dialect: Dialect = PLAIN
    path: str = "/"
    needs: tuple[Path, ...] = ()
    stores: bool = True

    def check(self) -> None:
        """Raise ``NotInstalled`` unless it can run."""
        for path in self.needs:
            if not path.exists():
                raise NotInstalled(
                    f"{self.title} is not installed ({path.relative_to(ROOT)} is missing);"
                    " ./dev bench installs it, or leave it out with --servers"
                )
        program = self.command(0, Path())[0]
        if shutil.which(program) is None:
            raise NotInstalled(f"{self.title} needs {program}, which is not installed")


def _gateway(port: int, folder: Path) -> list[str]:
    return [
        sys.executable, "-m", "gateway", "run", "--no-pages", "--port", str(port),
        "--data", str(folder / "data"),
    ]  # fmt: skip


def _node(script: str) -> Command:
    return lambda port, folder: ["node", str(RIVALS / script), str(port), str(folder)]


def _pycrdt(port: int, folder: Path) -> list[str]:
    return [str(BENCH_PYTHON), str(RIVALS / "pycrdt_websocket.py"), str(port), str(folder)]


def _floor(port: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "tests.bench.rivals.floor", str(port)]


_MODULES = RIVALS / "node_modules"
GATEWAY = Kind("gateway", "Store Gateway", _gateway, path="/sync/bench/")
Y_WEBSOCKET = Kind(
    "y-websocket",
    "@y/websocket-server + LevelDB",
    _node("y_websocket.mjs"),
    needs=(_MODULES / "@y" / "websocket-server", _MODULES / "y-leveldb"),
)
KINDS = {
    kind.name: kind
    for kind in (
        GATEWAY,
        Y_WEBSOCKET,
        Kind(
            "hocuspocus",
            "Hocuspocus + SQLite",
            _node("hocuspocus.mjs"),
            dialect=HOCUSPOCUS,
            needs=(_MODULES / "@hocuspocus" / "server", _MODULES / "better-sqlite3"),
        ),
        Kind(
            "pycrdt-websocket",
            "pycrdt-websocket + SQLite",
            _pycrdt,
            needs=(BENCH_PYTHON,),
        ),
        Kind("floor", "bare picows relay", _floor, stores=False),
    )
}


class Server:
    """One server process on a port of its own; ``folder`` outlives ``kill`` and ``stop``."""

    def __init__(self, kind: Kind, folder: Path, cores: Cores, *arguments: str) -> None:
        self.kind = kind
        self.folder = folder
        self.port = _free_port()
        self._cores = cores
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._traced = False
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process of the server itself."""
        assert self._process is not None
        pid = self._process.pid
        if not self._traced:
            return pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    @property
    def trace(self) -> Path:
        """Where a traced run writes its system calls."""
        return self.folder.with_suffix(".trace")

    def path(self, room: str) -> str:
        """The path of a room in its URL."""
        return self.kind.path + room

    def launch(self, *, traced: bool = False) -> None:
        """Start the process; it need not listen yet."""
        command = self.kind.command(self.port, self.folder) + list(self._arguments)
        self._traced = traced
        if traced:
            watch = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={SYNC_CALLS}"]
            command = [*watch, "-o", str(self.trace), *command]
        self._cores.for_server()
        try:
            with self.folder.with_suffix(".log").open("ab") as log:
                self._process = subprocess.Popen(
                    command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={**os.environ, "NODE_ENV": "production"},
                )  # fmt: skip
        finally:
            self._cores.for_clients()

    def start(self, *, traced: bool = False) -> None:
        """Start the process and wait until it listens."""
        self.launch(traced=traced)
        self.connect().close()

    def connect(self) -> socket.socket:
        """A TCP connection to it, as soon as it listens."""
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", self.port))
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = self.folder.with_suffix(".log").read_text(errors="replace")
                    raise AssertionError(f"{self.kind.title} does not start: {log}") from None
                time.sleep(0.001)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection

    def pause(self) -> None:
        """Not its turn: it does nothing, not even what it has put off."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Its turn."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut or a crash would."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError, IndexError):
            os.kill(self.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        self._process = None

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError, IndexError):
            os.kill(self.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None


@contextlib.contextmanager
def running(kinds: Sequence[Kind], folder: Path, cores: Cores) -> Iterator[list[Server]]:
    """All of them at once, each with a new data folder."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(kind, folder / kind.name, cores)) for kind in kinds]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
