"""Settings from TOML: what is right for a key stands in its field, and every error says so.

Every error names the file, the key and what would be right.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError

EX_CONFIG = 78
MAX_PORT = 65_535
# Of one cluster.
MAX_NODES = 16


@dataclass(frozen=True, slots=True)
class Rule:
    """What is ``right`` for a value, in words and as a check."""

    right: str
    check: Callable[[Any], bool]


def whole(low: int, high: int) -> dict[str, Rule]:
    """The metadata of a whole number."""
    return {
        "rule": Rule(
            f"a whole number from {low} to {high}",
            lambda value: type(value) is int and low <= value <= high,
        )
    }


def text(right: str) -> dict[str, Rule]:
    """The metadata of a text that is not empty."""
    return {"rule": Rule(right, lambda value: isinstance(value, str) and bool(value))}


def node(text: str) -> tuple[str, int]:
    """Name or address and port of a node; 0 where none is named. Raises ``ValueError``."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^\s:@/?#\[\]]+)(?::(\d{1,5}))?", text)
    if found is None or not text.isprintable() or int(found[2] or 0) > MAX_PORT:
        raise ValueError(text)
    return found[1].strip("[]"), int(found[2] or 0)


def are_nodes(value: Any) -> bool:
    """Whether this is a list of them."""
    try:
        return isinstance(value, list) and len(value) <= MAX_NODES and all(map(node, value))
    except (TypeError, ValueError):
        return False


def nodes(hosts: str | tuple[str, ...], port: int) -> tuple[tuple[str, int], ...]:
    """Name and port of each of a list, or of the one that is named; ``port`` where none is."""
    if isinstance(hosts, str):
        return ((hosts, port),)
    return tuple((name, own or port) for name, own in map(node, hosts))


def read_toml(path: Path) -> dict[str, Any]:
    """What is in a file. Raises ``GatewayError`` ``config-file``, ``config-syntax``."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GatewayError("config-file", f"{path}: {error.strerror}", EX_CONFIG) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        sentence = f"{path}: this is not TOML: {error}"
        raise GatewayError("config-syntax", sentence, EX_CONFIG) from error


def filled(defaults: Any, values: Mapping[str, Any], file: str, prefix: str) -> Any:
    """A dataclass with some values replaced; ``prefix`` is that of their names.

    The metadata of a field has its ``rule``, or is empty for a section; ``each``: what makes one of
    several. Raises ``GatewayError`` ``config-key``, ``config-value``.
    """
    known = {entry.name: entry for entry in fields(defaults)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        name = prefix + key
        if key not in known:
            raise GatewayError("config-key", f"{file}: {name} {_guess(key, known)}", EX_CONFIG)
        if each := known[key].metadata.get("each"):
            changes[key] = _several(each, value, file, name)
            continue
        rule: Rule | None = known[key].metadata.get("rule")
        if rule is None:
            if not isinstance(value, dict):
                raise _wrong(file, name, value, f"a section: [{name}]")
            changes[key] = filled(getattr(defaults, key), value, file, f"{name}.")
        elif rule.check(value):
            changes[key] = tuple(value) if isinstance(value, list) else value
        else:
            raise _wrong(file, name, value, rule.right)
    return replace(defaults, **changes)


def _several(each: Callable[[], Any], value: Any, file: str, name: str) -> tuple[Any, ...]:
    """What stands in the sections [[name]]."""
    if not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
        raise _wrong(file, name, value, f"sections: [[{name}]]")
    return tuple(filled(each(), one, file, f"{name}.") for one in value)


def _guess(key: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}"
    return f"is not a setting; {hint}"


def _wrong(file: str, name: str, value: object, right: str) -> GatewayError:
    shown = str(value)[:40]
    return GatewayError("config-value", f"{file}: {name} is {shown!r}; right is {right}", EX_CONFIG)
