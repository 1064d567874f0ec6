"""Debian packages the guest has and the host has not, unpacked beside it: nothing is installed.

They are of the host's release, or of a newer one: then its C library comes with them, which the
host's own programs run with as well.
"""

import re
import shutil
from pathlib import Path

from tests.lab.pi import cache, release
from tests.lab.pi.cache import LabUnavailable, ask, stage, tell

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
    if name != release.host() and not release.updated(name):
        with cache.alone():
            release.update(name)
    path = _path(packages := _absent(name, more))
    if not path.exists():
        with cache.alone():
            if name != release.host():
                release.update(name)
                path = _path(packages := _absent(name, more))
            if not path.exists():
                _make(name, packages, path)
    return path


def _path(packages: list[str]) -> Path:
    return cache.folder() / f"layer-{cache.key(*packages)}"


def _absent(name: str, more: tuple[str, ...]) -> list[str]:
    """``name=version`` of each package that apt would install for PACKAGES and more."""
    wanted = (*PACKAGES, *more)
    command = ["install", "--simulate", "--no-install-recommends", *wanted]
    text = ask("apt-get", *release.options(name), *command)
    if not text:
        raise LabUnavailable(
            f"The lab needs Debian's {' and '.join(wanted)}, and apt cannot say here what they "
            "need; run: sudo apt-get update"
        )
    return sorted(
        f"{name}={version}"
        for name, version in re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", text, re.MULTILINE)
    )


def _make(name: str, packages: list[str], path: Path) -> None:
    work = path.with_name(f"{path.name}.new")
    debs = path.with_name(f"{path.name}.debs")
    log = path.with_name(f"{path.name}.log")
    for folder in (work, debs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    log.unlink(missing_ok=True)
    with stage(f"downloading and unpacking {len(packages)} packages"):
        if packages:
            command = ["apt-get", *release.options(name), "download", *packages]
            failed = f"The guest's packages could not be downloaded {cache.WHY_NOT}"
            tell(command, debs, log, failed)
        for deb in sorted(debs.iterdir()):
            tell(["dpkg-deb", "-x", deb, work], debs, log, f"{deb.name} could not be unpacked")
    for merged in MERGED:
        _merge(work / merged, work / "usr" / merged)
    for other in set(work.iterdir()) - {work / kept for kept in KEPT}:
        _remove(other)
    shutil.rmtree(debs)
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
