"""The machine and the versions a result was measured with."""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from tests.bench.processes import Cores
from tests.bench.servers import BENCH_PYTHON, RIVALS, ROOT

NODE_PACKAGES = ("@y/websocket-server", "y-leveldb", "@hocuspocus/server", "ws", "yjs")
PACKAGES = ("pycrdt", "picows", "uvloop")


def describe(folder: Path, cores: Cores) -> dict[str, str]:
    """By name, for the report."""
    facts = {
        "processor": _processor(),
        "cores": str(len(cores.all)),
        "pinned": "servers on one core, clients on the others" if cores.pinned else "no",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": platform.release().split("-")[0],
        "file system": file_system(folder),
        "Python": platform.python_version(),
        "Node": _said("node", "--version").lstrip("v"),
        "gateway": _gateway(),
    }
    facts |= {name: metadata.version(name) for name in PACKAGES}
    for name in NODE_PACKAGES:
        file = RIVALS / "node_modules" / name / "package.json"
        if file.exists():
            match = re.search(r'"version": "([^"]+)"', file.read_text())
            facts[name] = match[1] if match else "?"
    if BENCH_PYTHON.exists():
        code = "import importlib.metadata as m; print(m.version('pycrdt-websocket'))"
        facts["pycrdt-websocket"] = _said(str(BENCH_PYTHON), "-c", code)
    return facts


def _gateway() -> str:
    """The last commit that changed the gateway, and whether it was changed since."""
    git = ("git", "-C", str(ROOT))
    changed = _said(*git, "status", "--porcelain", "--", "gateway")
    commit = _said(*git, "log", "-1", "--format=%h", "--", "gateway")
    return f"{commit}, changed since" if changed else commit


def file_system(folder: Path) -> str:
    """The type of the file system a folder is on."""
    best, kind = "", ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, name, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, name
    return kind


def _processor() -> str:
    match = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1] if match else platform.machine()


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
