"""Programs of this Debian release that are not installed here: unpacked into a cache.

So nothing is installed, and nothing is started as a service.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.debian import Release, Unavailable, host, key


class ProgramMissing(Exception):
    """A program is not there and cannot be had; the text says what to do."""


def cache(name: str) -> Path:
    """A folder of this user for what is unpacked."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "store-gateway" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def unpacked(package: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """The root of a package with all it needs, below ``folder``; the environment of its programs.

    Raises ProgramMissing.
    """
    release = Release(host(), folder)
    packages = _packages(release, package) or (_updated() and _packages(release, package))
    if not packages:
        raise ProgramMissing(f"the tests need {package}; run: sudo apt-get install {package}")
    root = folder / f"{package}-{key(*packages)}"
    if not root.exists():
        _unpack(release, packages, root)
    libraries = ":".join(str(path) for path in sorted(root.glob("usr/lib/*-linux-*")))
    return root, {**os.environ, "LD_LIBRARY_PATH": libraries}


def _packages(release: Release, package: str) -> list[str]:
    try:
        return release.absent([package])
    except Unavailable:
        return []


def _updated() -> bool:
    """A new machine has lists of packages only after the first update."""
    return os.getuid() == 0 and subprocess.run(["apt-get", "update"]).returncode == 0


def _unpack(release: Release, packages: list[str], root: Path) -> None:
    work = root.with_name(f"{root.name}.{os.getpid()}")
    release.unpack(packages, work)
    try:
        work.rename(root)
    except OSError:
        # Another process was faster.
        shutil.rmtree(work)
