"""Debian releases other than the host's, for guests; their lists are in the lab's cache."""

from tests.lab.pi import cache
from tests.lab.pi.cache import stage
from tests.support import debian


def host() -> str:
    """The code name of the host's release; nothing if it has none."""
    return debian.host()


def release(name: str) -> debian.Release:
    """apt's view of the Debian release of that name."""
    return debian.Release(name, cache.folder() / f"apt-{name}")


def update(wanted: debian.Release) -> None:
    """Fetch its lists, and say so."""
    with stage(f"fetching the package lists of {wanted.name}"):
        wanted.update()
