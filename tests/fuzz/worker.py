"""A process that may die: puts updates the guard accepted through a document.

Cases come as lines on standard input, ``history position update then`` (updates in hex,
``-`` for none); each is answered by one line on standard output. Whoever started this
process knows by the missing answer which case ended it.
"""

import resource
import signal
import sys
from functools import cache

from gateway.core.document import Document, DocumentBroken
from gateway.core.errors import PeerError
from gateway.core.guard import inspect_update
from tests.fuzz.seeds import History, histories

# Beyond these a case counts as fatal: nothing genuine takes a second or 100 MB.
CASE_SECONDS = 20
MEMORY_BYTES = 2_000_000_000
NAME = "fuzz/case"


def main() -> None:
    """Answer cases until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for line in sys.stdin:
        history, position, update, then = line.split()
        base = bytes.fromhex(history[1:]) if history[0] == "x" else b""
        if history[0] != "x":
            base = _base(int(history), int(position))
        # Without a handler the signal ends the process, wherever it is.
        signal.alarm(CASE_SECONDS)
        print(outcome(base, bytes.fromhex(update), _parts(then)), flush=True)
        signal.alarm(0)


def outcome(base: bytes, update: bytes, then: list[bytes]) -> str:
    """What became of an update and of sound ones after it.

    ``integrated``, ``early`` or ``declined`` (the library named an error, and the document
    was loaded again); ``disturbed`` when sound updates suffered, ``panic`` when the library
    panicked; the last two with what happened.
    """
    document = Document.load(NAME, base, ())
    verdict = "integrated"
    try:
        applied = document.apply([(update, inspect_update(update))])
        if applied.early or applied.overflow:
            verdict = "early"
    except DocumentBroken as error:
        if _panicked(error):
            return f"panic at the update: {_told(error)}"
        verdict = "declined"
        document = Document.load(NAME, base, ())
    step = "what follows"
    try:
        for one in then:
            document.apply([(one, inspect_update(one))])
        step = "the snapshot"
        snapshot = document.snapshot()
        step = "loading it"
        again = Document.load(NAME, snapshot, document.early)
        step = "comparing"
        if again.fingerprint() != document.fingerprint():
            return "disturbed: loads to another state"
        step = "the projection"
        document.project()
    except DocumentBroken as error:
        kind = "panic" if _panicked(error) else "disturbed"
        return f"{kind} at {step}: {_told(error)}"
    except PeerError as error:
        return f"disturbed at {step}: {error}"
    return verdict


@cache
def _base(history: int, position: int) -> bytes:
    return _histories()[history].base(position)


@cache
def _histories() -> tuple[History, ...]:
    return histories()


def _parts(text: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in text.split(",")] if text != "-" else []


def _panicked(error: DocumentBroken) -> bool:
    return "Panic" in type(error.cause).__name__


def _told(error: DocumentBroken) -> str:
    return " ".join(str(error.cause).split())[:160]


if __name__ == "__main__":
    main()
