"""RabbitMQ and Erlang of a newer Debian in a folder, and how a program runs with it as its root.

Debian 12's RabbitMQ has no MQTT 5. What is unpacked has its own C library, so it runs in a mount
namespace of its own; who is not root needs user namespaces for that. Nothing is installed.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.debian import Release, Unavailable, key
from tests.support.packages import ProgramMissing, cache

RELEASE = "trixie"
# What their root needs beside what they depend on: a shell and programs for it.
PACKAGES = ("rabbitmq-server", "coreutils", "dash")
# Links of base-files, and places for what is mounted.
MERGED = ("bin", "lib", "lib64", "sbin")
MOUNTED = ("dev", "proc", "srv", "tmp")
FILES = {
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\nhosts: files\n",
    "passwd": "root:x:0:0:root:/srv:/bin/sh\n",
}

# $1: the root; $2: the folder that is /srv there; the rest is the command.
IN_ROOT = """
set -e
root=$1 folder=$2
shift 2
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount --bind "$folder" "$root/srv"
exec chroot "$root" "$@"
"""


def programs() -> Path:
    """A root folder that has RabbitMQ; made when there is none of the newest version.

    Raises ProgramMissing.
    """
    release = Release(RELEASE, cache("rabbitmq") / f"apt-{RELEASE}", bare=True)
    try:
        with (cache("rabbitmq") / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _unpacked(release)
    except Unavailable as error:
        raise ProgramMissing(f"the tests need RabbitMQ of Debian {RELEASE}. {error}") from error


def _unpacked(release: Release) -> Path:
    if not release.updated():
        _update(release)
    root = _root(packages := release.absent(PACKAGES))
    if root.exists():
        return root
    # Lists that are old name packages that are no longer there.
    release.update()
    root = _root(packages := release.absent(PACKAGES))
    if not root.exists():
        work = root.with_name(f"{root.name}.new")
        release.unpack(packages, work)
        _furnish(work)
        work.rename(root)
    return root


def _update(release: Release) -> None:
    try:
        release.update()
    except Unavailable:
        # A new machine knows its mirror only after the first update.
        if os.getuid() != 0 or subprocess.run(["apt-get", "update"]).returncode != 0:
            raise
        release.update()


def _root(packages: list[str]) -> Path:
    return cache("rabbitmq") / f"rabbitmq-{key(*packages)}"


def _furnish(root: Path) -> None:
    for name in MERGED:
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for name in MOUNTED:
        (root / name).mkdir(exist_ok=True)
    for name, text in FILES.items():
        (root / "etc" / name).write_text(text)


def unshared() -> list[str]:
    """The command before a command that has mounts of its own."""
    command = ["unshare", "--mount"]
    if os.getuid() != 0:
        command.append("--map-root-user")
    if shutil.which("unshare") is None or subprocess.run([*command, "true"]).returncode != 0:
        raise ProgramMissing(
            "RabbitMQ runs in a mount namespace, which this system does not allow here: "
            "run the tests as root, or allow user namespaces"
        )
    return command
