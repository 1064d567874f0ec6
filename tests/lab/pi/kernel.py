"""The kernel of the virtual Pi: User Mode Linux of Debian's kernel source, built once a version."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.lab.pi import cache
from tests.lab.pi.cache import LabUnavailable, stage
from tests.support.debian import WHY_NOT, ask, key, tell

CONFIG = Path(__file__).with_name("kernel.config")

# The series kernel.config was made for; Debian 12 (security) and 13 have it.
SOURCE = "linux-source-6.12"

# Program → the Debian package that holds it.
TOOLS = {
    "apt-get": "apt",
    "bc": "bc",
    "bison": "bison",
    "dpkg-deb": "dpkg",
    "flex": "flex",
    "gcc": "gcc",
    "make": "make",
    "strip": "binutils",
    "tar": "tar",
    "xz": "xz-utils",
}
HEADERS = {"stdio.h": "libc6-dev"}


def kernel() -> Path:
    """The kernel as a program; built when there is none of this configuration and version.

    Raises LabUnavailable when that cannot be done here.
    """
    config = CONFIG.read_text(encoding="utf-8")
    version = _version()
    path = cache.folder() / f"linux-{key(config, version)}"
    if not path.exists():
        with cache.alone():
            if not path.exists():
                _build(version, path)
    return path


def missing() -> list[str]:
    """Debian packages that building the kernel still needs."""
    packages = {package for name, package in TOOLS.items() if shutil.which(name) is None}
    if "gcc" not in packages:
        packages |= {package for name, package in HEADERS.items() if not _has_header(name)}
    return sorted(packages)


def _has_header(name: str) -> bool:
    given = f"#include <{name}>\n"
    ended = subprocess.run(["gcc", "-E", "-"], input=given, capture_output=True, text=True)
    return ended.returncode == 0


def _version() -> str:
    """The version of the source that apt would bring."""
    text = ask("apt-cache", "show", "--no-all-versions", SOURCE)
    found = re.search(r"^Version: (.+)$", text, re.MULTILINE)
    if found is None:
        raise LabUnavailable(
            f"The lab's kernel is built from Debian's {SOURCE}, and apt knows none here; "
            "on Debian 12 or 13 run: sudo apt-get update"
        )
    return found[1]


def _build(version: str, path: Path) -> None:
    if packages := missing():
        raise LabUnavailable(
            "The lab builds its kernel from source and programs for that are missing; "
            f"install with: sudo apt-get install {' '.join(packages)}"
        )
    work = path.with_name(f"{path.name}.build")
    log = path.with_name(f"{path.name}.log")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    log.unlink(missing_ok=True)
    with stage(f"downloading {SOURCE} {version}"):
        command = ["apt-get", "download", f"{SOURCE}={version}"]
        tell(command, work, log, f"The kernel's source could not be downloaded {WHY_NOT}")
    with stage("unpacking it"):
        _unpack(work, log)
    with stage(f"building the kernel with {_jobs()} jobs, about four minutes with two"):
        _make(work / SOURCE, log)
    shutil.move(work / "linux", path)
    shutil.rmtree(work)


def _unpack(work: Path, log: Path) -> None:
    script = (
        f"set -o pipefail; dpkg-deb --fsys-tarfile {SOURCE}_*.deb"
        f" | tar -xO ./usr/src/{SOURCE}.tar.xz | tar -xJ"
    )
    tell(
        ["bash", "-c", script], work, log, "The kernel's source could not be unpacked (disk full?)"
    )


def _make(source: Path, log: Path) -> None:
    failed = "The lab's kernel could not be built"
    make = ["make", "ARCH=um"]
    tell([*make, f"KCONFIG_ALLCONFIG={CONFIG}", "allnoconfig"], source, log, failed)
    tell([*make, f"-j{_jobs()}", "linux"], source, log, failed)
    tell(["strip", "-o", "../linux", "linux"], source, log, failed)


def _jobs() -> int:
    return len(os.sched_getaffinity(0))
