"""Debian packages the guest has and the host has not, unpacked beside it: nothing is installed.

They are of the host's release, or of a newer one: then its C library comes with them, which the
host's own programs run with as well.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.lab.pi import cache, release
from tests.lab.pi.cache import stage
from tests.support import debian

# What every guest runs; what they need comes with them.
PACKAGES = ("bluez", "dbus")

# Folders that are links into /usr on the host, and would hide it if they came as folders.
MERGED = ("bin", "lib", "lib64", "sbin")

# The rest are empty folders of base-files, some of which are links on the host (/var/run).
KEPT = ("etc", "usr")


def layer(name: str, more: tuple[str, ...] = ()) -> Path:
    """A folder to lay over the host's root, with packages of the Debian release of that name.

    ``more`` are packages that only some guests have. Made when there is none for all these. Raises
    LabUnavailable when that cannot be done here.
    """
    wanted = release.release(name)
    if not wanted.updated():
        with cache.alone():
            release.update(wanted)
    packages = wanted.absent((*PACKAGES, *more))
    path = _path(packages)
    if not path.exists():
        with cache.alone():
            if not wanted.is_host:
                release.update(wanted)
                packages = wanted.absent((*PACKAGES, *more))
                path = _path(packages)
            if not path.exists():
                _make(wanted, packages, path)
    return path


def _path(packages: Sequence[str]) -> Path:
    return cache.folder() / f"layer-{debian.key(*packages)}"


def _make(wanted: debian.Release, packages: Sequence[str], path: Path) -> None:
    work = path.with_name(f"{path.name}.new")
    with stage(f"downloading and unpacking {len(packages)} packages"):
        wanted.unpack(packages, work)
    for merged in MERGED:
        _merge(work / merged, work / "usr" / merged)
    for other in set(work.iterdir()) - {work / kept for kept in KEPT}:
        _remove(other)
    work.rename(path)


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path)


def _merge(source: Path, target: Path) -> None:
    """Move all of one folder into another, which may have folders of the same names."""
    if source.is_symlink() or not source.is_dir() or not Path("/", source.name).is_symlink():
        return
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(source)
