"""The requests get, put and patch, from the admin door and from a script's lines."""

from collections.abc import Mapping
from typing import Any

from gateway.core.edit import entries
from gateway.core.errors import GatewayError
from gateway.runtime.local import Local

# Verb → what has to be there, and what may be there too.
EDITS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "get": (frozenset({"document"}), frozenset({"root"})),
    "put": (frozenset({"document", "content"}), frozenset({"root"})),
    "patch": (frozenset({"document", "content"}), frozenset({"root"})),
}
_KINDS: Mapping[str, tuple[type, str]] = {
    "document": (str, "a text, collection/id"),
    "content": (dict, "an object"),
    "root": (str, "a text"),
}
EX_USAGE = 64
EX_NOINPUT = 66


async def edit(local: Local, verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Do it and return the result.

    Of ``get``: ``content``, the whole document by roots, and ``fields``, what ``put`` takes.
    Raises ``GatewayError``: ``usage``, ``no-document``, and as ``Local`` does.
    """
    _check(verb, arguments)
    document, root = arguments["document"], arguments.get("root", "")
    if verb == "get":
        content = await local.read(document)
        if content is None:
            raise GatewayError("no-document", f"there is no document {document} here", EX_NOINPUT)
        return {"document": document, "content": content, "fields": entries(content, root)}
    write = local.put if verb == "put" else local.patch
    await write(document, arguments["content"], root)
    return {"document": document}


def _check(verb: str, arguments: Mapping[str, Any]) -> None:
    needed, possible = EDITS[verb]
    for name in sorted(needed - arguments.keys()):
        raise _wrong(f"{verb} needs {name}: {_KINDS[name][1]}")
    for name, value in arguments.items():
        if name not in needed | possible:
            known = ", ".join(["id", *sorted(needed | possible)])
            raise _wrong(f"{verb} does not take {name[:40]!r}; it takes {known}")
        kind, words = _KINDS[name]
        if not isinstance(value, kind):
            raise _wrong(f"{name} is {words}")


def _wrong(sentence: str) -> GatewayError:
    return GatewayError("usage", sentence, EX_USAGE)
