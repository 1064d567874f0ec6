"""What a put or a patch of JSON changes in which root map of a document."""

import math
from collections.abc import Mapping
from typing import Any

from gateway.core.errors import GatewayError
from gateway.core.limits import Limits
from gateway.core.selector import is_operator, same
from gateway.core.values import EXACT, Json, escaped_key

# The root map that new fields go to.
ROOT = "fields"
# What the guard lets through (docs/limits.md): deeper would be refused by every peer.
MAX_NESTING = Limits().nesting
EX_USAGE = 64


class Removed:
    """A field that is to be removed."""


REMOVED = Removed()
Changes = Mapping[str, Mapping[str, Any]]


def check_content(content: Mapping[str, Any], root: str = "") -> None:
    """Raises ``GatewayError`` ``usage`` for what JSON can say and a document cannot hold."""
    _check(root, 0)
    _check(content, 0)


def entries(projection: Mapping[str, Json], root: str = "") -> dict[str, Json]:
    """The fields of a document, as ``put`` takes them: what its root maps hold.

    Of entries of the same name that of the first root by name. ``root``: only of this root map.
    """
    found: dict[str, Json] = {}
    for _, one in sorted(_root_maps(projection, root).items()):
        found = {**one, **found}
    return found


def put(projection: Mapping[str, Json], content: Mapping[str, Json], root: str = "") -> Changes:
    """What makes the fields of a document these: set those that are there, remove the others.

    A field that is shown as it is to be is left alone: so shared text, bytes and the like survive
    when what ``entries`` gave is put back. ``root``: only of this root map. Raises like
    ``check_content``.
    """
    check_content(content, root)
    maps = _root_maps(projection, root)
    wanted = _placed(maps, content, root)
    changes: dict[str, dict[str, Any]] = {}
    for name in {**wanted, **maps}:
        shown, new = maps.get(name, {}), wanted.get(name, {})
        changes[name] = {key: REMOVED for key in shown if key not in content}
        for key, value in new.items():
            if not (key in shown and same(shown[key], value)):
                changes[name][key] = value
    return changes


def patch(projection: Mapping[str, Json], changes: Mapping[str, Json], root: str = "") -> Changes:
    """What a JSON merge patch (RFC 7396) changes: null removes, objects are merged.

    A field is changed where it is; a new one goes to the only root map there is, or to
    ``fields``. ``root``: only this root map is changed. Raises like ``check_content``.
    """
    check_content(changes, root)
    maps = _root_maps(projection, root)
    return {
        name: {key: _merged(maps.get(name, {}).get(key), value) for key, value in entries.items()}
        for name, entries in _placed(maps, changes, root).items()
    }


def _check(value: Any, nesting: int) -> None:
    if nesting > MAX_NESTING:
        raise _unfit(f"values are nested deeper than {MAX_NESTING}")
    match value:
        case Mapping():
            for key, entry in value.items():
                _check(key, nesting)
                _check(entry, nesting + 1)
        case list():
            for entry in value:
                _check(entry, nesting + 1)
        case str() if not _is_unicode(value):
            raise _unfit("a text holds half a character (an unpaired surrogate such as \\ud800)")
        case int() if abs(value) > EXACT:
            raise _unfit("a whole number is beyond 2^53, where apps lose digits; make it a text")
        case float() if not math.isfinite(value):
            raise _unfit("a number is infinite or NaN, which JSON does not know")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unfit(sentence: str) -> GatewayError:
    return GatewayError("usage", f"this cannot be stored: {sentence}", EX_USAGE)


def _placed(
    maps: Mapping[str, Mapping[str, Json]], content: Mapping[str, Json], root: str
) -> dict[str, dict[str, Json]]:
    new = root or (next(iter(maps)) if len(maps) == 1 else ROOT)
    placed: dict[str, dict[str, Json]] = {}
    for key, value in content.items():
        name = next((name for name in sorted(maps) if key in maps[name]), new)
        placed.setdefault(name, {})[key] = value
    return placed


def _root_maps(projection: Mapping[str, Json], root: str) -> dict[str, dict[str, Json]]:
    """The root maps with their entries under their own keys."""
    return {
        _unescaped(name): {_unescaped(key): value for key, value in entries.items()}
        for name, entries in projection.items()
        if isinstance(entries, dict) and not any(map(is_operator, entries))
        if not root or name == escaped_key(root)
    }


def _merged(value: Json, changes: Json) -> Any:
    if changes is None:
        return REMOVED
    if not isinstance(changes, dict):
        return changes
    merged = dict(value) if isinstance(value, dict) else {}
    for key, change in changes.items():
        if change is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), change)
    return merged


def _unescaped(key: str) -> str:
    return key.removeprefix("$")
