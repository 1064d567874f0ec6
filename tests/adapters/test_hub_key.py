"""The key of a hub: made once, for its owner only."""

import os
from pathlib import Path

import pytest

from gateway.adapters import hub_key
from gateway.adapters.hub_key import read_key
from gateway.core.errors import GatewayError

KEY, OTHER = b"k" * 32, b"o" * 32


def test_it_is_made_at_first_use(tmp_path: Path) -> None:
    path = tmp_path / "hub" / "hub.key"
    assert read_key(path, lambda count: KEY[:count]) == KEY
    assert read_key(path, lambda count: OTHER[:count]) == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["hub.key"]  # noqa: PTH208


def test_two_that_make_it_at_once_have_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hub.key"

    def draw(count: int) -> bytes:
        # Another worker was faster.
        read_key(path, lambda _: OTHER)
        return KEY

    assert read_key(path, draw) == OTHER
    assert [one.name for one in tmp_path.iterdir()] == ["hub.key"]


@pytest.mark.parametrize("text", [b"", b"secret", b"ab" * 31, b"\xff" * 64])
def test_a_file_that_is_no_key(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "hub.key"
    path.write_bytes(text)
    with pytest.raises(GatewayError) as error:
        read_key(path, lambda count: KEY)
    assert error.value.code == "hub-key-damaged" and "secret" not in error.value.sentence
    assert error.value.__cause__ is None


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(GatewayError) as error:
        read_key(tmp_path, lambda count: KEY)
    assert error.value.code == "hub-key"
    assert error.value.exit_code == hub_key.EX_IOERR
