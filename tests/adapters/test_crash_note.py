"""The note of what is being applied: there after a crash, gone after a good turn."""

from pathlib import Path

import pytest

from gateway.adapters.crash_note import NOTE_BYTES, CrashNote
from gateway.core.errors import GatewayError

ITEMS = [("orders/1", "ada", b"\x01\x02"), ("notes/ä", "", b"")]


def after_a_crash(folder: Path) -> list[tuple[str, str, bytes]]:
    note = CrashNote(folder)
    found = note.found()
    note.close()
    return found


def test_it_survives_the_process_and_not_the_turn(tmp_path: Path) -> None:
    note = CrashNote(tmp_path)
    assert note.found() == []
    note.before(ITEMS)
    assert after_a_crash(tmp_path) == ITEMS
    note.after()
    assert after_a_crash(tmp_path) == []
    note.before(ITEMS[:1])
    assert after_a_crash(tmp_path) == ITEMS[:1]
    note.close()
    assert (tmp_path / "applying.note").stat().st_mode & 0o777 == 0o600


def test_what_does_not_fit_is_left_out(tmp_path: Path) -> None:
    note = CrashNote(tmp_path)
    note.before([("a/b", "", b"x"), ("a/c", "", bytes(NOTE_BYTES))])
    assert after_a_crash(tmp_path) == [("a/b", "", b"x")]
    note.close()


def test_noise_in_the_file_is_no_crash_of_ours(tmp_path: Path) -> None:
    (tmp_path / "applying.note").write_bytes(b"\x01" + b"\xff" * 64)
    assert after_a_crash(tmp_path) == []
    (tmp_path / "applying.note").write_bytes(b"\x01" + b"\xff" * 4 + bytes(64))
    assert len(after_a_crash(tmp_path)) < NOTE_BYTES


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(GatewayError) as caught:
        CrashNote(tmp_path / "none")
    assert caught.value.code == "store-folder"


def test_suspects_are_remembered_and_nonsense_is_not(tmp_path: Path) -> None:
    note = CrashNote(tmp_path)
    assert note.suspects() == frozenset()
    note.suspect([bytes(16), bytes(range(16))])
    with (tmp_path / "suspects").open("a") as file:
        file.write("nonsense\nABCD\n")
    again = CrashNote(tmp_path)
    assert again.suspects() == {bytes(16), bytes(range(16))}
    again.suspect([])
    assert note.suspects() == frozenset()
    for one in (note, again):
        one.close()
