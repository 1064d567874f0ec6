"""Objects of the database, lent to threads."""

from pathlib import Path

import pytest

from gateway.api.pool import Pool
from gateway.core.errors import GatewayError
from gateway.ports import CloudStore
from tests.support.hub_api import SHOP, Hub

AWAY = GatewayError("hub-database-unreachable", "away")


class Lending:
    """A pool, and what it opened."""

    def __init__(self, folder: Path, most: int = 2) -> None:
        self.hub = Hub(folder)
        self.opened: list[CloudStore] = []
        self.closed: list[CloudStore] = []
        self.pool = Pool(self._open, most)

    def _open(self) -> CloudStore:
        store = self.hub.open()
        close = store.close

        def closed() -> None:
            self.closed.append(store)
            close()

        store.close = closed  # type: ignore[method-assign]
        self.opened.append(store)
        return store


def test_an_object_is_used_again_and_by_one_at_a_time(tmp_path: Path) -> None:
    lending = Lending(tmp_path)
    with lending.pool.store() as one, lending.pool.store() as other:
        assert one is not other
    with lending.pool.store() as again:
        assert again in (one, other)
    assert len(lending.opened) == 2 and lending.closed == []
    lending.pool.close()
    assert len(lending.closed) == 2


def test_who_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.pool.WAIT_SECONDS", 0.05)
    lending = Lending(tmp_path, most=1)
    with lending.pool.store(), pytest.raises(GatewayError) as caught, lending.pool.store():
        pass
    assert caught.value.code == "busy"
    with lending.pool.store():
        pass
    lending.pool.close()


@pytest.mark.parametrize("error", [AWAY, ZeroDivisionError()])
def test_one_that_failed_is_closed_and_not_lent_again(tmp_path: Path, error: Exception) -> None:
    lending = Lending(tmp_path, most=1)
    with pytest.raises(type(error)), lending.pool.store():
        raise error
    assert lending.closed == lending.opened
    with lending.pool.store() as store:
        assert store is lending.opened[1]
    lending.pool.close()


def test_after_a_failure_nobody_is_lent_what_was_open_before(tmp_path: Path) -> None:
    lending = Lending(tmp_path)
    with lending.pool.store(), lending.pool.store():
        pass
    with pytest.raises(GatewayError), lending.pool.store():
        raise AWAY
    assert len(lending.closed) == 2
    with lending.pool.store() as store:
        assert store is lending.opened[2]
    lending.pool.close()


def test_what_was_asked_wrongly_is_no_failure(tmp_path: Path) -> None:
    lending = Lending(tmp_path)
    with pytest.raises(GatewayError), lending.pool.store() as store:
        store.changed(SHOP, "nonsense", 1)
    assert lending.closed == []
    lending.pool.close()


def test_one_that_cannot_be_opened_keeps_no_place(tmp_path: Path) -> None:
    lending = Lending(tmp_path, most=1)
    lending.hub.failure = AWAY
    for _ in range(3):
        with pytest.raises(GatewayError), lending.pool.store():
            pass
    lending.hub.failure = None
    with lending.pool.store():
        # One that comes back after the end is closed then.
        lending.pool.close()
        assert lending.closed == []
    assert lending.closed == lending.opened
