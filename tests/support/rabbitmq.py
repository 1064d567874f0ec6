"""A real RabbitMQ cluster on this machine, with the configuration of docs/rabbitmq."""

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.broker import Authority
from tests.support.gateway import ROOT
from tests.support.rabbitmq_root import IN_ROOT, programs, unshared

CONFIGURATION = ROOT / "docs" / "rabbitmq"
# Three nodes on two busy processors.
START_SECONDS = 120.0
PASSWORDS = {"gateway": "a secret of the gateway", "hub": "a secret of the hub"}

ERTS = "usr/lib/erlang/erts-*/bin"
SERVER = "usr/lib/rabbitmq/lib/rabbitmq_server-*"
# One scheduler that does not spin: several nodes share few processors.
FRUGAL = ("+S", "1:1", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")
BOOT = (
    "-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", "+W", "w",
    "-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false",
    "-kernel", "prevent_overlapping_partitions", "false",
    "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
)  # fmt: skip


class RabbitCluster:
    """``with RabbitCluster(folder) as cluster``: nodes 0, 1, 2, each with ports of its own.

    ``mqtt_ports`` and ``amqp_ports`` are without TLS, which the example has not. The certificates
    are for the host ``localhost``; STORE and GATEWAY of the example are ``store`` and ``gateway``.
    """

    def __init__(
        self, folder: Path, nodes: int = 3, *, store: str = "STORE", gateway: str = "GATEWAY"
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._root = programs()
        self._unshared = unshared()
        epmd, *ports = _free_ports(1 + 5 * nodes)
        self.mqtt_ports, self.mqtts_ports = ports[0::5], ports[1::5]
        self.amqp_ports, self.amqps_ports = ports[2::5], ports[3::5]
        self._dist_ports = ports[4::5]
        self._names = [f"rabbit{node}@localhost" for node in range(nodes)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._epmd: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": "/usr/sbin:/usr/bin",
            "HOME": "/srv",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "ERL_CRASH_DUMP_SECONDS": "0",
        }
        authority = Authority(folder / "certs")
        authority.issue("server", "localhost")
        self._configure(store, gateway)

    def __enter__(self) -> Self:
        try:
            self._epmd = self._run(["epmd"], {}, self.folder / "epmd.log")
            for node in range(len(self._names)):
                self._launch(node)
            for node in range(len(self._names)):
                self._wait(node)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, node: int) -> None:
        """Start a node that does not run, on the ports and with the data it had before."""
        if node not in self._processes:
            self._launch(node)
        self._wait(node)

    def kill(self, node: int) -> None:
        """End a node as a loss of power would."""
        _end(self._processes.pop(node))

    def freeze(self, node: int) -> None:
        """Let a node do nothing, without that anybody is told."""
        os.killpg(self._processes[node].pid, signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """Let a frozen node go on."""
        os.killpg(self._processes[node].pid, signal.SIGCONT)

    def stop(self) -> None:
        """End all nodes, without ado."""
        for node in list(self._processes):
            self.kill(node)
        epmd, self._epmd = self._epmd, None
        if epmd is not None:
            _end(epmd)

    def log(self, node: int) -> str:
        """What a node said."""
        return self._log(node).read_text(errors="replace")

    def leads(self, queue: str) -> int:
        """The node that became the leader of a quorum queue last."""
        became = f"queue '{queue}' in vhost '/': candidate -> leader"
        lines = (
            (line, node)
            for node in range(len(self._names))
            for line in self.log(node).splitlines()
            if became in line
        )
        # A line begins with the time.
        return max(lines)[1]

    def pid(self, node: int) -> int:
        """The process of a node."""
        return self._processes[node].pid

    def memory(self, node: int) -> int:
        """Bytes of memory that a node has now (VmRSS)."""
        status = Path(f"/proc/{self.pid(node)}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1_024

    def password_file(self, user: str) -> Path:
        """A file with the password of a user."""
        return self.folder / f"{user}.password"

    def _log(self, node: int) -> Path:
        return self.folder / f"node{node}.log"

    def _launch(self, node: int) -> None:
        (server,) = self._root.glob(SERVER)
        home = f"/{server.relative_to(self._root)}"
        more = {
            "ERL_LIBS": f"{home}/plugins",
            "RABBITMQ_HOME": home,
            "RABBITMQ_NODENAME": self._names[node],
            "RABBITMQ_DIST_PORT": str(self._dist_ports[node]),
            "RABBITMQ_CONFIG_FILE": f"/srv/node{node}.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "/srv/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"/srv/node{node}",
            "RABBITMQ_LOG_BASE": f"/srv/node{node}",
        }
        command = ["erlexec", *FRUGAL, *BOOT]
        self._processes[node] = self._run(command, more, self._log(node))

    def _run(self, command: list[str], more: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Run a program of Erlang in the root; it is the leader of a process group."""
        (found,) = self._root.glob(ERTS)
        erts = f"/{found.relative_to(self._root)}"
        name, *arguments = command
        erlang = {"BINDIR": erts, "ROOTDIR": "/usr/lib/erlang", "EMU": "beam", "PROGNAME": "erl"}
        with log.open("ab") as words:
            return subprocess.Popen(
                [
                    *self._unshared, "sh", "-c", IN_ROOT, "sh", self._root, self.folder,
                    f"{erts}/{name}", *arguments,
                ],
                env={**self._environment, **erlang, **more}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            )  # fmt: skip

    def _wait(self, node: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._listens(node):
            if self._processes[node].poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no node {node}: {self.log(node)[-4_000:]}")
            time.sleep(0.05)

    def _listens(self, node: int) -> bool:
        for ports in (self.mqtt_ports, self.mqtts_ports, self.amqp_ports, self.amqps_ports):
            try:
                socket.create_connection(("127.0.0.1", ports[node]), 1.0).close()
            except OSError:
                return False
        return True

    def _configure(self, store: str, gateway: str) -> None:
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(os.urandom(12).hex())
        cookie.chmod(0o400)
        shutil.copy(CONFIGURATION / "enabled_plugins", self.folder)
        text = (CONFIGURATION / "definitions.json").read_text(encoding="utf-8")
        text = text.replace("STORE", store).replace("GATEWAY", gateway)
        for user, password in PASSWORDS.items():
            text = text.replace(f"HASH_OF_{user}", _hashed(password))
            self.password_file(user).write_text(f"{password}\n")
        json.loads(text)
        (self.folder / "definitions.json").write_text(text)
        for node in range(len(self._names)):
            self._configure_node(node)

    def _configure_node(self, node: int) -> None:
        text = (CONFIGURATION / "rabbitmq.conf").read_text(encoding="utf-8")
        text = text.replace("/etc/rabbitmq/", "/srv/")
        kept = [line for line in text.splitlines() if not line.startswith(("listeners.", "mqtt.l"))]
        kept = [line for line in kept if "classic_config.nodes" not in line]
        for number, name in enumerate(self._names, 1):
            kept.append(f"cluster_formation.classic_config.nodes.{number} = {name}")
        kept += [
            f"listeners.tcp.1 = 127.0.0.1:{self.amqp_ports[node]}",
            f"listeners.ssl.1 = 127.0.0.1:{self.amqps_ports[node]}",
            f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.mqtt_ports[node]}",
            f"mqtt.listeners.ssl.1 = 127.0.0.1:{self.mqtts_ports[node]}",
            "log.file = false",
            "log.console = true",
            "log.console.use_colors = off",
        ]
        (self.folder / f"node{node}.conf").write_text("\n".join(kept) + "\n")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process group that was started here."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def _hashed(password: str) -> str:
    """As ``rabbitmqctl hash_password`` does it: SHA-256 with four octets of salt before."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _free_ports(number: int) -> list[int]:
    """Ports that are free, all of them different."""
    held = [socket.socket() for _ in range(number)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports
