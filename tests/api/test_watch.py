"""Who waits is woken by changes of its space, whoever made them."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.api import watch
from gateway.api.watch import Watch
from gateway.core.cloud_records import CloudChange
from gateway.core.errors import GatewayError
from tests.support.gateway import eventually
from tests.support.hub_api import GATEWAY, OTHER, SHOP, Hub


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


@pytest.fixture
def looking(hub: Hub) -> Iterator[Watch]:
    watching = Watch(hub.open)
    watching.start()
    yield watching
    watching.close()


def settle(looking: Watch, space: str = SHOP) -> watch.Mark:
    """Wait until the thread looks: then whatever comes is seen."""
    mark = looking.mark(space)
    assert looking.wait(space, mark, 20)
    return looking.mark(space)


def test_a_change_wakes_those_of_its_space(hub: Hub, looking: Watch) -> None:
    is_over = threading.Event()

    def keep_waiting() -> None:
        while not (is_over.is_set() or looking.is_closed):
            looking.wait(OTHER, looking.mark(OTHER), 0.5)

    # While anybody waits it is looked at all spaces.
    keeper = threading.Thread(target=keep_waiting, name="keeper")
    keeper.start()
    settle(looking)
    before, other = looking.mark(SHOP)[1], looking.mark(OTHER)[1]
    hub.put(SHOP, "orders/1", a=1)
    eventually(lambda: looking.mark(SHOP)[1] == before + 1)
    assert looking.mark(OTHER)[1] == other
    hub.put(OTHER, "orders/1", a=1)
    eventually(lambda: looking.mark(OTHER)[1] == other + 1)
    is_over.set()
    keeper.join(20)


def test_nothing_is_asked_of_the_database_while_nobody_waits(hub: Hub, looking: Watch) -> None:
    settle(looking)
    hub.put(SHOP, "orders/1", a=1)
    before = looking.mark(SHOP)
    # What was changed meanwhile is found by looking once, not by being woken for it.
    assert looking.wait(SHOP, before, 20)


def test_a_time_that_is_over_and_an_end(hub: Hub, looking: Watch) -> None:
    mark = settle(looking)
    eventually(lambda: not looking.wait(SHOP, looking.mark(SHOP), 0.01))
    ended: list[bool] = []
    waiting = threading.Thread(
        target=lambda: ended.append(looking.wait(SHOP, looking.mark(SHOP), 60)), name="waiting"
    )
    waiting.start()
    looking.close()
    waiting.join(20)
    assert ended == [False] and looking.is_closed and mark
    looking.close()


def test_after_a_failure_everybody_looks(
    hub: Hub, looking: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PAUSE_SECONDS", 0.01)
    hub.failure = GatewayError("hub-database-unreachable", "away")
    mark = looking.mark(SHOP)
    assert not looking.wait(SHOP, mark, 0.2)
    hub.failure = None
    assert looking.wait(SHOP, mark, 20)


def test_after_very_much_everybody_looks(
    hub: Hub, looking: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOKED_AT", 5)
    mark = settle(looking)
    with closing(hub.open()) as store:
        store.append([CloudChange(OTHER, f"a/{number}", b"x", GATEWAY) for number in range(9)])
    # Nothing of this space changed, but that was not looked at.
    assert looking.wait(SHOP, mark, 20)


def test_an_end_before_the_beginning(hub: Hub) -> None:
    Watch(hub.open).close()
