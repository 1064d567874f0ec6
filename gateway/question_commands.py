"""The commands that ask the running gateway or peer about itself, and save its data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SEEN = """\
Asks the gateway or peer that runs on this machine. Gateways in one network find each other and
small peers find them, by multicast DNS (_store-gateway._tcp). Some networks block multicast, for
guests above all: then nobody is seen here, and naming an address with --connect helps; doctor
says more.
  %(prog)s --data DIR      those of the gateway that keeps its data in DIR
"""

Answer = Mapping[str, Any]
Ask = Callable[..., Answer]
Say = Callable[[str], None]
AddCommand = Callable[..., argparse.ArgumentParser]


def add(add_command: AddCommand, ask: Callable[[argparse.Namespace], Ask], say: Say) -> None:
    """Add the commands by ``add_command(name, function, summary, more)``."""

    def telling(
        question: Callable[[argparse.Namespace, Ask], Answer], show: Callable[[Answer], str]
    ) -> Callable[[argparse.Namespace], int]:
        def run(options: argparse.Namespace) -> int:
            answer = question(options, ask(options))
            say(json.dumps(answer) if options.json else show(answer))
            return 0

        return run

    status = telling(lambda _, ask: ask("status"), _status)
    add_command("status", status, "what the running gateway says of itself")
    neighbours = telling(lambda _, ask: ask("neighbours"), _neighbours)
    add_command("neighbours", neighbours, "who is seen in the network, and linked", SEEN)
    trace = telling(lambda options, ask: ask("trace", document=options.document), _trace)
    where = add_command("trace", trace, "where a document is: who has it, or why not")
    where.add_argument("document", help="its name: collection/id")
    backup = add_command(
        "backup",
        telling(_backup, lambda answer: f"saved to {answer['file']}"),
        "write all data to a file, while it runs",
    )
    backup.add_argument("file", type=Path)


def _backup(options: argparse.Namespace, ask: Ask) -> Answer:
    return {"ok": True, **ask("backup", file=str(options.file.absolute()))}


def _status(answer: Answer) -> str:
    from gateway.control.tree import tree, versions

    store = answer["store"]
    lines = [
        answer["sentence"],
        f"  peers      {answer['session_count']}",
        f"  documents  {store['documents']} stored, {answer['document_count']} in memory",
        f"  store      {store['file_bytes']} bytes, {store['waiting']} changes not yet written",
        f"  bluetooth  {_bluetooth(answer['bluetooth'])}",
        f"  cloud      {_cloud(answer.get('cloud', {}))}",
        f"  refused    {answer['counters']['refused']}, in quarantine {store['quarantined']}",
    ]
    return "\n\n".join(filter(None, ("\n".join(lines), tree(answer), versions(answer))))


def _bluetooth(said: Answer) -> str:
    from gateway.core.radio import OFF, OK

    if said["state"] == OFF.code:
        return "off"
    if said["state"] == OK.code:
        repaired = f", repaired {said['repairs']} times" if said["repairs"] else ""
        return f"{said['adapter']}, {said['phones']} phones connected{repaired}"
    return " ".join(filter(None, (said["sentence"], said["do"])))


def _cloud(said: Answer) -> str:
    from gateway.core.bridge import OFF, OK

    # A gateway of an older version says nothing of it.
    if said.get("state", OFF.code) == OFF.code:
        return "off"
    count = said["waiting"]
    few = {0: "nothing waits", 1: "1 document waits"}
    waiting = few.get(count, f"{count} documents wait")
    more = _of_hub(said)
    if said["state"] == OK.code:
        return f"connected to {said['broker']}, {waiting}{more}"
    again = "" if said["retry_s"] is None else f"Tried again in {said['retry_s']:.0f} s."
    rest = f"{waiting.capitalize()}{more}."
    return " ".join(filter(None, (said["sentence"], said["do"], again, rest)))


def _of_hub(said: Answer) -> str:
    """What is more to say where there are updates both ways."""
    outbox, compare = said.get("outbox"), said.get("compare", {})
    if outbox is None:
        return ""
    parts = []
    if outbox["bytes"]:
        parts.append(f"{outbox['bytes']} bytes")
    if outbox["oldest_s"] is not None:
        parts.append(f"for at least {outbox['oldest_s']:.0f} s")
    if outbox["drain_s"]:
        parts.append(f"{outbox['drain_s']:.0f} s more at this rate")
    shown = f" ({', '.join(parts)})" if parts else ""
    if outbox["left"]:
        shown += "; too much waited, so all is compared with the hub"
    elif compare["running"]:
        shown += f"; {compare['documents']} still to compare with the hub"
    return shown


def _neighbours(answer: Answer) -> str:
    lines = []
    if answer["neighbours"]:
        lines.append(f"{'PEER':10}{'KIND':7}{'VERSION':9}{'ADDRESS':32}STATE")
    for row in answer["neighbours"]:
        kind = "large" if row["large"] else "small"
        places = [f"{f'[{ip}]' if ':' in ip else ip}:{row['port']}" for ip in row["addresses"]]
        first, *others = places or ["-"]
        lines.append(f"{row['peer'][:8]:10}{kind:7}{row['versions']:9}{first:31} {row['sentence']}")
        lines += [f"{'':26}{place}" for place in others]
    if answer["sentence"]:
        lines.append(answer["sentence"])
    return "\n".join(lines)


def _trace(answer: Answer) -> str:
    stored = answer["stored"]
    lines = [
        f"{answer['document']}: {stored['bytes']} bytes in {stored['rows']} rows on this disk",
        *map(_row, stored["newest"]),
    ]
    if answer["early"]:
        lines.append(f"  {answer['early']} changes wait for others that have not come")
    for peer in sorted(answer["peers"], key=lambda peer: peer["in_sync"]):
        lines.append(f"  {peer['name'] or peer['peer'][:8] or peer['address']}: {peer['sentence']}")
    if not answer["peers"]:
        lines.append("  nobody is linked at the moment")
    return "\n".join(lines)


def _row(row: Answer) -> str:
    author = row["name"] or row["peer"][:8] or "somebody"
    what = "everything before, in one" if row["snapshot"] else f"by {author}"
    return f"  #{row['sequence']:<9} {row['bytes']:>7} bytes  {what}"
