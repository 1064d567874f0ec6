"""Debian packages that are run and not installed: unpacked into a folder, of any release.

The mirror and the keys are the host's; nothing of the host's apt is changed.
"""

import hashlib
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Characters of a SHA-256 in a name: plenty against chance, and it stays readable.
KEY_LENGTH = 16

WHY_NOT = "(no network? or old lists, then: sudo apt-get update)"


class Unavailable(Exception):
    """Packages cannot be had on this machine; the text is a plain sentence that says what to do."""


def host() -> str:
    """The code name of the host's release; nothing if it has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def key(*parts: str) -> str:
    """A short name for these texts together."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:KEY_LENGTH]


def ask(*command: str) -> str:
    """What a command printed; nothing if it failed or is not there."""
    if shutil.which(command[0]) is None:
        return ""
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return ended.stdout if ended.returncode == 0 else ""


def tell(command: Sequence[str | Path], where: Path, log: Path, failed: str) -> None:
    """Run a command with its words in a log; raises Unavailable with ``failed`` and the last."""
    with log.open("ab") as words:
        ended = subprocess.run(
            command, cwd=where, stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )
    if ended.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"{failed}; all that was said is in {log}. The end: {''.join(last)}")


class Release:
    """apt's view of a release. For the host's own it is the host's.

    Another one, and any that is ``bare``, has its lists in ``folder``. To that apt nothing is
    installed, so it brings all that a package needs, down to the C library.
    """

    def __init__(self, name: str, folder: Path, *, bare: bool = False) -> None:
        self.name = name
        self.is_host = name == host() and not bare
        self._folder = folder

    def options(self) -> list[str]:
        """What makes apt-get look at it."""
        if self.is_host:
            return []
        settings = (
            f"Dir::Etc::SourceList={self._folder / 'sources.list'}",
            "Dir::Etc::SourceParts=/dev/null",
            f"Dir::State={self._folder}",
            f"Dir::State::Status={self._folder / 'status'}",
            f"Dir::Cache={self._folder / 'cache'}",
            "Acquire::Languages=none",
        )
        return [word for setting in settings for word in ("-o", setting)]

    def update(self) -> None:
        """Fetch its lists, which is an ``apt-get update`` for it."""
        for name in ("lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        sources = f"deb {_mirror()} {self.name} main\n"
        (self._folder / "sources.list").write_text(sources, encoding="utf-8")
        command = ["apt-get", *self.options(), "update", "--error-on=any"]
        failed = f"The package lists of {self.name} could not be fetched {WHY_NOT}"
        tell(command, self._folder, self._folder / "update.log", failed)

    def updated(self) -> bool:
        """Whether its lists are here."""
        return self.is_host or (self._folder / "sources.list").exists()

    def absent(self, packages: Sequence[str]) -> list[str]:
        """``name=version`` of each package that apt would install for these; raises Unavailable."""
        command = ["install", "--simulate", "--no-install-recommends", *packages]
        text = ask("apt-get", *self.options(), *command)
        if not text:
            raise Unavailable(
                f"Debian's {' and '.join(packages)} are needed, and apt cannot say here what they "
                "need; run: sudo apt-get update"
            )
        return sorted(
            f"{name}={version}"
            for name, version in re.findall(
                r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", text, re.MULTILINE
            )
        )

    def unpack(self, packages: Sequence[str], path: Path) -> None:
        """Download what ``absent`` named, and unpack it into a new folder."""
        debs = path.with_name(f"{path.name}.debs")
        log = path.with_name(f"{path.name}.log")
        for folder in (path, debs):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        log.unlink(missing_ok=True)
        if packages:
            command = ["apt-get", *self.options(), "download", *packages]
            tell(command, debs, log, f"Debian's packages could not be downloaded {WHY_NOT}")
        for deb in sorted(debs.iterdir()):
            tell(["dpkg-deb", "-x", deb, path], debs, log, f"{deb.name} could not be unpacked")
        shutil.rmtree(debs)


def _mirror() -> str:
    """Where the host's own packages come from."""
    targets = ("Created-By: Packages", f"Codename: {host()}")
    mirrors = ask("apt-get", "indextargets", "--format", "$(REPO_URI)", *targets).split()
    if not mirrors:
        raise Unavailable(
            "Packages of another release are looked for where this machine has its own from, and "
            "apt does not know; on Debian 12 or 13 run: sudo apt-get update"
        )
    return mirrors[0]
