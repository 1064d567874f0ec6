"""Did everybody end with the same, and is everything there that was called saved?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.document import Document
from gateway.core.selector import Selector, fields_of

# More of them say no more.
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Held:
    """What a store holds of one document."""

    fingerprint: bytes
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``differing`` and ``lost`` are sentences about what is wrong; empty is well."""

    documents: int
    compared: int
    differing: Sequence[str]
    lost: Sequence[str]

    @property
    def well(self) -> bool:
        """Whether all converged and nothing was lost."""
        return not self.differing and not self.lost


def read_store(folder: Path) -> dict[str, Held]:
    """All documents of a store that nobody uses."""
    store = SqliteStore.open(folder)
    try:
        return {name: _held(store, name) for name in store.names()}
    finally:
        store.close()


def judge(
    gateways: Mapping[str, Mapping[str, Held]],
    devices: Mapping[str, tuple[str, Mapping[str, Held]]],
    saved: Iterable[tuple[str, str]],
) -> Verdict:
    """``devices``: subscription and store by name; ``saved``: device and document of every
    order that a device was told is on its disk."""
    names = sorted({name for store in gateways.values() for name in store})
    first = next(iter(gateways.values()))
    differing: list[str] = []
    compared = 0
    for gateway, store in gateways.items():
        for name in names:
            compared += 1
            differing += _difference(gateway, name, store.get(name), first.get(name))
    for device, (subscription, store) in devices.items():
        collection, _, text = subscription.partition(" ")
        selector = Selector(text)
        for name in names:
            held = first.get(name)
            if held is None or not name.startswith(f"{collection}/"):
                continue
            if selector.matches(held.fields):
                compared += 1
                differing += _difference(device, name, store.get(name), held)
    lost = [
        f"{name}, saved on {device}, is not in {gateway}"
        for gateway, store in gateways.items()
        for device, name in saved
        if name not in store
    ]
    return Verdict(len(names), compared, differing[:MOST_NAMED], lost[:MOST_NAMED])


def _difference(where: str, name: str, held: Held | None, wanted: Held | None) -> list[str]:
    if held is None:
        return [f"{where} lacks {name}"]
    if wanted is not None and held.fingerprint != wanted.fingerprint:
        return [f"{where} has another {name}"]
    return []


def _held(store: SqliteStore, name: str) -> Held:
    stored = store.load(name)
    document = Document.load(name, stored.snapshot, stored.changes)
    return Held(document.fingerprint(), fields_of(document.project()))
