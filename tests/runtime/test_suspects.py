"""What was being applied when a process died: once suspected, twice put aside."""

from collections.abc import Iterable
from hashlib import blake2b

from gateway.core.records import Refusal
from gateway.runtime.suspects import suspects
from tests.runtime.memory import MemoryStore

BAD, GOOD = b"bad update", b"good update"


def digest(update: bytes) -> bytes:
    return blake2b(update, digest_size=16).digest()


class Deaths:
    """Satisfies ``Deaths``."""

    def __init__(self, *applying: bytes) -> None:
        self.applying = list(applying)
        self.remembered: frozenset[bytes] = frozenset()

    def found(self) -> list[tuple[str, str, bytes]]:
        return [("orders/1", "ada", update) for update in self.applying]

    def after(self) -> None:
        self.applying = []

    def suspects(self) -> frozenset[bytes]:
        return self.remembered

    def suspect(self, digests: Iterable[bytes]) -> None:
        self.remembered = frozenset(digests)


def test_an_update_that_is_met_twice_is_put_aside() -> None:
    deaths, store = Deaths(BAD, GOOD), MemoryStore()
    assert suspects(deaths, store) == {digest(BAD), digest(GOOD)}
    assert store.rows == []
    deaths.applying = [BAD]
    assert suspects(deaths, store) == frozenset()
    (refusal,) = store.rows
    assert isinstance(refusal, Refusal) and refusal.update == BAD and refusal.peer == "ada"


def test_without_a_death_the_suspects_stay() -> None:
    deaths, store = Deaths(BAD), MemoryStore()
    suspects(deaths, store)
    assert suspects(deaths, store) == {digest(BAD)}, "it has not been applied since"
