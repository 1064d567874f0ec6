"""The folder of a device's identity: for its owner only, replaced as a whole."""

import os
import stat
from pathlib import Path

import pytest

from gateway.adapters.identity_file import IdentityFolder
from gateway.core.errors import GatewayError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_there_and_back_and_for_the_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = IdentityFolder(tmp_path / "identity")
        assert folder.read("keys") is None
        folder.write("keys", {"noise": "00"})
        folder.write("keys", {"noise": "01"})
    finally:
        os.umask(before)
    assert folder.read("keys") == {"noise": "01"}
    assert mode(tmp_path / "identity") == 0o700
    assert [(path.name, mode(path)) for path in (tmp_path / "identity").iterdir()] == [
        ("keys.json", 0o600)
    ]


def test_what_is_on_the_disk_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content, then name, then the folder's own name: a power cut leaves the old or the new."""
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_fsync(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    IdentityFolder(tmp_path / "identity").write("keys", 1)
    assert done == ["keys.new", "rename", "identity", tmp_path.name]


def test_a_file_that_was_left_over_is_no_trap(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path / "identity")
    folder.write("keys", 1)
    left = tmp_path / "identity" / "keys.new"
    left.symlink_to(tmp_path / "elsewhere")
    folder.write("keys", 2)
    assert folder.read("keys") == 2 and not (tmp_path / "elsewhere").exists()


def test_damage_is_said_and_nothing_of_it_is_quoted(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path / "identity")
    folder.write("keys", 1)
    (tmp_path / "identity" / "keys.json").write_text('{"noise": "c0ffee')
    with pytest.raises(GatewayError) as raised:
        folder.read("keys")
    assert raised.value.code == "identity-damaged" and "c0ffee" not in raised.value.sentence


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "identity").write_text("a file")
    folder = IdentityFolder(tmp_path / "identity")
    for verb in (lambda: folder.write("keys", 1), lambda: folder.read("keys")):
        with pytest.raises(GatewayError) as raised:
            verb()
        assert raised.value.code == "identity-failed"
