"""Several are told what happens."""

from typing import Any

from gateway.runtime.perform import Watcher
from gateway.runtime.watchers import Watchers


class Listening(Watcher):
    def __init__(self, told: list[str], name: str) -> None:
        for verb in ("noticed", "opened", "closed", "answered", "told", "stored"):
            setattr(self, verb, lambda *_, verb=verb: told.append(f"{name} {verb}"))


def test_each_is_told_everything_in_order() -> None:
    told: list[str] = []
    watchers = Watchers([Listening(told, "a"), Listening(told, "b")])
    nothing: Any = None
    watchers.noticed(nothing)
    watchers.opened(nothing)
    watchers.closed(nothing)
    watchers.answered(nothing, nothing)
    watchers.told(nothing, nothing)
    watchers.stored(nothing)
    verbs = ("noticed", "opened", "closed", "answered", "told", "stored")
    assert told == [f"{name} {verb}" for verb in verbs for name in "ab"]
    assert {verb for verb in vars(Watcher) if not verb.startswith("_")} == set(verbs)
