"""apt's view of another Debian release than the host's, in a folder of its own.

The mirror and the keys are the host's; nothing of the host's apt is changed. To that apt nothing is
installed, so it brings all that a package needs, down to the C library.
"""

import platform
from pathlib import Path

from tests.lab.pi import cache
from tests.lab.pi.cache import LabUnavailable, ask, stage, tell


def host() -> str:
    """The code name of the host's release; nothing if it has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def options(release: str) -> list[str]:
    """What makes apt-get look at a release; nothing for the host's own."""
    if release == host():
        return []
    folder = _folder(release)
    settings = (
        f"Dir::Etc::SourceList={folder / 'sources.list'}",
        "Dir::Etc::SourceParts=/dev/null",
        f"Dir::State={folder}",
        f"Dir::State::Status={folder / 'status'}",
        f"Dir::Cache={folder / 'cache'}",
        "Acquire::Languages=none",
    )
    return [word for setting in settings for word in ("-o", setting)]


def update(release: str) -> None:
    """Fetch the lists of another release, which is an ``apt-get update`` for it."""
    folder = _folder(release)
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb {_mirror()} {release} main\n", encoding="utf-8")
    with stage(f"fetching the package lists of {release}"):
        command = ["apt-get", *options(release), "update", "--error-on=any"]
        failed = f"The package lists of {release} could not be fetched {cache.WHY_NOT}"
        tell(command, folder, folder / "update.log", failed)


def updated(release: str) -> bool:
    """Whether its lists are here."""
    return (_folder(release) / "sources.list").exists()


def _folder(release: str) -> Path:
    return cache.folder() / f"apt-{release}"


def _mirror() -> str:
    """Where the host's own packages come from."""
    targets = ("Created-By: Packages", f"Codename: {host()}")
    mirrors = ask("apt-get", "indextargets", "--format", "$(REPO_URI)", *targets).split()
    if not mirrors:
        raise LabUnavailable(
            "The lab looks for another release where this machine has its packages from, and apt "
            "does not know; on Debian 12 or 13 run: sudo apt-get update"
        )
    return mirrors[0]
