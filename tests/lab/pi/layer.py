"""Debian packages the guest has and the host has not, unpacked beside it: nothing is installed."""

import re
import shutil
from pathlib import Path

from tests.lab.pi import cache
from tests.lab.pi.cache import LabUnavailable, ask, stage, tell

# What the guest runs; what they need comes with them.
PACKAGES = ("bluez", "dbus")

# Folders that are links into /usr on the host, and would hide it if they came as folders.
MERGED = ("bin", "lib", "lib64", "sbin")


def layer() -> Path:
    """A folder to lay over the host's root; made when there is none for these packages.

    Raises LabUnavailable when that cannot be done here.
    """
    packages = _absent()
    path = cache.folder() / f"layer-{cache.key(*packages)}"
    if not path.exists():
        with cache.alone():
            if not path.exists():
                _make(packages, path)
    return path


def _absent() -> list[str]:
    """``name=version`` of each package that apt would install for PACKAGES here."""
    text = ask("apt-get", "install", "--simulate", "--no-install-recommends", *PACKAGES)
    if not text:
        raise LabUnavailable(
            f"The lab needs Debian's {' and '.join(PACKAGES)}, and apt cannot say here what they "
            "need; run: sudo apt-get update"
        )
    return sorted(
        f"{name}={version}"
        for name, version in re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", text, re.MULTILINE)
    )


def _make(packages: list[str], path: Path) -> None:
    work = path.with_name(f"{path.name}.new")
    debs = path.with_name(f"{path.name}.debs")
    log = path.with_name(f"{path.name}.log")
    for folder in (work, debs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    log.unlink(missing_ok=True)
    with stage(f"downloading and unpacking {len(packages)} packages"):
        if packages:
            command = ["apt-get", "download", *packages]
            failed = f"The guest's packages could not be downloaded {cache.WHY_NOT}"
            tell(command, debs, log, failed)
        for deb in sorted(debs.iterdir()):
            tell(["dpkg-deb", "-x", deb, work], debs, log, f"{deb.name} could not be unpacked")
    for name in MERGED:
        _merge(work / name, work / "usr" / name)
    shutil.rmtree(debs)
    work.rename(path)


def _merge(source: Path, target: Path) -> None:
    """Move all of one folder into another, which may have folders of the same names."""
    if not source.is_dir() or not Path("/", source.name).is_symlink():
        return
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(source)
