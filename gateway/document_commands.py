"""The commands about documents of the running gateway or peer: get, put, patch."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from gateway.core.errors import GatewayError

EX_USAGE = 64
GET = """\
What it prints is what put takes. Exit code 66 if there is no such document.
  %(prog)s orders/7 > order.json
"""
WRITE = """\
On return it is on the gateway's disk. Fields that are as they should be are left alone.
  %(prog)s orders/7 '{"station": "grill", "status": "open"}'
  %(prog)s orders/7 - < order.json
"""

Ask = Callable[..., Mapping[str, Any]]
Say = Callable[[str], None]
AddCommand = Callable[..., argparse.ArgumentParser]
Asking = Callable[[argparse.Namespace], Ask]


def add(add_command: AddCommand, ask: Asking, say: Say) -> None:
    """Add the commands by ``add_command(name, function, summary, more)``."""
    summary = "print a document of the running gateway or peer"
    get = add_command("get", partial(_get, ask, say), summary, GET)
    get.add_argument("document", help="its name: collection/id")
    get.add_argument("--root", default="", help="only the fields of this root map")
    get.add_argument("--whole", action="store_true", help="all of it by its roots, texts too")
    for verb, summary in (
        ("put", "make these the fields of a document"),
        ("patch", "change some fields of a document; null removes one"),
    ):
        write = add_command(verb, partial(_write, ask, say, verb), summary, WRITE)
        write.add_argument("document", help="its name: collection/id")
        write.add_argument("content", help="a JSON object; - reads it from standard input")
        write.add_argument("--root", default="", help="the root map to write to")


def _get(ask: Asking, say: Say, options: argparse.Namespace) -> int:
    root = {"root": options.root} if options.root else {}
    answer = ask(options)("get", document=options.document, **root)
    shown = answer["content" if options.whole else "fields"]
    say(json.dumps(shown, indent=None if options.json else 2, ensure_ascii=False))
    rest = _not_shown(answer["content"])
    if rest and not (options.whole or options.root or options.json):
        print(
            f"not shown, for it is no map of fields: {', '.join(rest)} (--whole)", file=sys.stderr
        )
    return 0


def _not_shown(content: Mapping[str, Any]) -> list[str]:
    from gateway.core.selector import is_operator

    return [
        name
        for name, value in content.items()
        if not isinstance(value, dict) or any(map(is_operator, value))
    ]


def _write(ask: Asking, say: Say, verb: str, options: argparse.Namespace) -> int:
    from gateway.core.edit import check_content

    content = _content(sys.stdin.read() if options.content == "-" else options.content)
    check_content(content, options.root)
    answer = ask(options)(verb, document=options.document, content=content, root=options.root)
    say(json.dumps({"ok": True, **answer}) if options.json else f"saved {options.document}")
    return 0


def _content(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise GatewayError("not-json", f"the content is not JSON: {error}", EX_USAGE) from error
    except RecursionError as error:
        raise GatewayError("not-json", "the content is nested too deeply", EX_USAGE) from error
    if not isinstance(content, dict):
        raise GatewayError("not-json", "the content is a JSON object: '{...}'", EX_USAGE)
    return content
