"""Making the lab says in a plain sentence what is missing; without building anything."""

from pathlib import Path

import pytest

from tests.lab.pi import cache, kernel, layer, release
from tests.lab.pi.__main__ import main
from tests.lab.pi.cache import LabUnavailable
from tests.support import debian

PROGRAM = "#!/bin/sh\n"
APT_CACHE = PROGRAM + "printf 'Package: linux-source-6.12\\nVersion: 6.12.9-1\\n'\n"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def program(folder: Path, name: str, text: str = PROGRAM) -> None:
    """A program of that name."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def test_missing_tools_are_named_with_their_packages(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(programs, "apt-cache", APT_CACHE)
    for name in set(kernel.TOOLS) - {"flex", "xz"}:
        program(programs, name)
    with pytest.raises(LabUnavailable, match=r"sudo apt-get install flex xz-utils$"):
        kernel.kernel()
    assert main(["--missing"]) == 0
    assert capsys.readouterr().out == "flex\nxz-utils\n"
    assert main([]) == 1
    assert capsys.readouterr().err.startswith("lab: The lab builds its kernel from source")


def test_a_compiler_without_headers_is_not_enough(programs: Path) -> None:
    for name in kernel.TOOLS:
        program(programs, name)
    program(programs, "gcc", PROGRAM + "exit 1\n")
    assert kernel.missing() == ["libc6-dev"]


def test_a_kernel_that_is_there_needs_no_tools(programs: Path) -> None:
    program(programs, "apt-cache", APT_CACHE)
    name = f"linux-{debian.key(kernel.CONFIG.read_text(), '6.12.9-1')}"
    (cache.folder() / name).touch()
    assert kernel.kernel() == cache.folder() / name


def test_another_configuration_is_another_kernel() -> None:
    assert debian.key("a", "bc") != debian.key("ab", "c")


def test_a_machine_without_debian_packages_is_said(programs: Path) -> None:
    program(programs, "apt-cache", PROGRAM + "exit 100\n")
    with pytest.raises(LabUnavailable, match="apt knows none here"):
        kernel.kernel()
    program(programs, "apt-get", PROGRAM + "exit 100\n")
    with pytest.raises(LabUnavailable, match="bluez and dbus"):
        layer.layer(release.host())


def test_what_failed_is_said_with_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["/bin/sh", "-c", "echo first; echo the reason; exit 1"]
    with pytest.raises(LabUnavailable, match=r"It failed; .*log\. The end: the reason"):
        debian.tell(command, tmp_path, log, "It failed")
