"""Another Debian release is looked up where the host's packages come from; without a network."""

from pathlib import Path

import pytest

from tests.lab.pi import cache, layer, release
from tests.lab.pi.cache import LabUnavailable
from tests.support import debian

# An apt that knows a mirror, writes down how it was called, and would install two packages.
APT_GET = """#!/bin/sh
echo "$*" >>"$0.log"
case "$*" in
  indextargets*) echo http://mirror.test/debian/ ;;
  *install*) echo "Inst bluez (5.82-1 Debian:13/stable [amd64])"
    echo "Inst libc6 [2.36-9] (2.41-12 Debian:13/stable [amd64])" ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before all others of PATH, an empty cache, and a host of another release."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "host", lambda: "bookworm")
    return folder


def apt_get(folder: Path, text: str = APT_GET) -> Path:
    """An apt-get of that text; what it was called with is in the file that is returned."""
    path = folder / "apt-get"
    path.write_text(text)
    path.chmod(0o755)
    return folder / "apt-get.log"


def test_the_host_s_own_release_needs_nothing(programs: Path) -> None:
    assert release.release("bookworm").options() == []


def test_a_bare_apt_has_nothing_installed_whatever_the_host_has(
    programs: Path, tmp_path: Path
) -> None:
    calls = apt_get(programs)
    bare = debian.Release("bookworm", tmp_path / "bare", bare=True)
    assert not bare.updated()
    bare.update()
    assert bare.updated()
    assert bare.absent(["bluez"]) == ["bluez=5.82-1", "libc6=2.41-12"]
    assert f"Dir::State::Status={tmp_path / 'bare' / 'status'}" in calls.read_text()
    assert (tmp_path / "bare" / "status").read_text() == ""


def test_a_layer_of_another_release_has_a_cache_of_its_own(programs: Path) -> None:
    calls = apt_get(programs)
    path = layer.layer("trixie")
    assert path == cache.folder() / f"layer-{debian.key('bluez=5.82-1', 'libc6=2.41-12')}"
    sources = cache.folder() / "apt-trixie" / "sources.list"
    assert sources.read_text() == "deb http://mirror.test/debian/ trixie main\n"
    words = calls.read_text().splitlines()
    used = [line for line in words if " update" in line or "install" in line or "download" in line]
    # What is there is asked from the lists that are there, without the network.
    assert all(str(sources) in line for line in used)
    assert layer.layer("trixie") == path
    again = calls.read_text().splitlines()[len(words) :]
    assert not any(" update" in line for line in again)


def test_a_host_without_debian_sources_is_said(programs: Path) -> None:
    apt_get(programs, "#!/bin/sh\n")
    with pytest.raises(LabUnavailable, match="apt does not know"):
        layer.layer("trixie")
