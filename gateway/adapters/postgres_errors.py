"""PostgreSQL's reasons as ours, translated once.

By SQLSTATE where there is one (https://www.postgresql.org/docs/15/errcodes-appendix.html). While a
connection is made libpq gives words only, and they may be in another language: what is not
understood then counts as passing, with the server's own words.
"""

from typing import Final

from gateway.core.errors import GatewayError

UNREACHABLE: Final = "hub-database-unreachable"
EX_USAGE, EX_UNAVAILABLE, EX_SOFTWARE = 64, 69, 70
EX_IOERR, EX_NOPERM, EX_CONFIG = 74, 77, 78

# Lost, refused for now, starting or stopping, a lock that was not to be had.
_PASSING = ("08", "40", "53300", "57P", "55P03")
_STATES: Final = {
    "53100": "full",
    "25006": "read-only",
    "28": "denied",
    "42501": "denied",
    "3D000": "missing",
    "58030": "disk",
    "XX001": "damaged",
    "XX002": "damaged",
}
_WORDS: Final = {
    "password authentication failed": "denied",
    "no password supplied": "denied",
    "no pg_hba.conf entry": "denied",
    "is not permitted to log in": "denied",
    "permission denied for database": "denied",
    "does not exist": "missing",
}
_MEANINGS: Final = {
    "full": ("its disk is full; make room", EX_IOERR),
    "read-only": ("it takes no changes (a standby?); name the one that does", EX_CONFIG),
    "denied": ("it does not let this user in or do that; check user, password, rights", EX_NOPERM),
    "missing": ("it has no such database or user; create them", EX_CONFIG),
    "disk": ("its disk failed; check it", EX_IOERR),
    "damaged": ("its files are damaged; restore a backup", EX_IOERR),
}


def from_state(state: str, words: str) -> GatewayError:
    """The error for what a server said while it was used; ``state``: SQLSTATE, or "" if lost."""
    if not state or state.startswith(_PASSING):
        return unreachable(words)
    for start, word in _STATES.items():
        if state.startswith(start):
            return _said(word, words)
    return GatewayError(
        "hub-database-failed",
        f"a fault of this program (SQLSTATE {state}: {_first(words)}); please report it",
        EX_SOFTWARE,
    )


def from_words(words: str) -> GatewayError:
    """The error for a connection that could not be made."""
    for part, word in _WORDS.items():
        if part in words:
            return _said(word, words)
    return unreachable(words)


def unreachable(words: str) -> GatewayError:
    """The error for a server that is away for now."""
    return GatewayError(
        UNREACHABLE,
        f"the hub's database cannot be reached ({_first(words)})",
        EX_UNAVAILABLE,
    )


def _said(word: str, words: str) -> GatewayError:
    meaning, exit_code = _MEANINGS[word]
    return GatewayError(
        f"hub-database-{word}", f"the hub's database: {meaning} ({_first(words)})", exit_code
    )


def _first(words: str) -> str:
    return words.strip().partition("\n")[0]
