"""The answer of ``status`` as a tree of links, for a terminal."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

_BRANCH, _LAST = "├─", "└─"
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def tree(status: Mapping[str, Any]) -> str:
    """Who is linked, over what, how fast, since when, and what each subscribes to."""
    sessions: Sequence[Mapping[str, Any]] = status["sessions"]
    rows = [_row(session) for session in sessions]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    beyond = _beyond(status.get("graph", ()))
    lines = [f"this device ({status['peer'][:8]})"]
    for number, (row, session) in enumerate(zip(rows, sessions, strict=True), 1):
        last = number == len(rows)
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"{_LAST if last else _BRANCH} {cells}".rstrip())
        lines += [f"{' ' if last else '│'}    wants {text}" for text in _wants(session)]
        lines += [f"{' ' if last else '│'}  {line}" for line in beyond[session["peer"]]]
    more = status["session_count"] - len(sessions)
    if more:
        lines.append(f"   and {more} more")
    if not status["session_count"]:
        lines.append(f"{_LAST} nobody is linked at the moment")
    return "\n".join(lines)


def versions(status: Mapping[str, Any]) -> str:
    """Which versions of which apps live in the store; "" if nobody names one."""
    lines = []
    for app in status["apps"]:
        schema = f"schema {app['schema']}" if app["schema"] else ""
        name = " ".join(filter(None, (app["app"] or "?", app["app-version"], schema)))
        devices = f"{app['peers']} device{'s' if app['peers'] != 1 else ''}"
        there = devices if app["peers"] else f"nobody {_age(app['seen_s'])}"
        lines.append(f"  {name}: {there}")
    return "\n".join(["versions in the store", *lines]) if lines else ""


def _beyond(graph: Sequence[Mapping[str, Any]]) -> Mapping[str, list[str]]:
    """Of each peer, the lines of those that are reached over it."""
    lines: defaultdict[str, list[str]] = defaultdict(list)
    # The farthest first, so that what is below a peer is there when it is drawn.
    for peer in reversed([peer for peer in graph if peer["hops"] > 1]):
        under = lines[peer["via"]]
        last = not under
        below = [f"{' ' if last else '│'}  {line}" for line in lines.pop(peer["peer"], ())]
        under[:0] = [f"{_LAST if last else _BRANCH} {_far(peer)}", *below]
    return lines


def _far(peer: Mapping[str, Any]) -> str:
    about = peer["about"]
    app = " ".join(filter(None, (about.get("app"), about.get("app-version"))))
    wants = f"wants {', '.join(peer['wants'])}" if peer["wants"] else ""
    trip = f"{peer['round_trip_ms']} ms" if peer["round_trip_ms"] else ""
    kind = "large" if peer["large"] else "small"
    name = about.get("name") or peer["peer"][:8]
    said = app or about.get("software", "")
    return "  ".join(filter(None, (name, kind, trip, _age(peer["since_s"]), said, wants)))


def _row(session: Mapping[str, Any]) -> tuple[str, ...]:
    about = session["about"]
    is_mesh = session["kind"] == "mesh"
    peer = session["peer"][:8] if is_mesh else session["peer"]
    name = about.get("name") or peer or "?"
    kind = _size(session) if is_mesh else session["kind"]
    trip = session["round_trip_ms"]
    app = " ".join(filter(None, (about.get("app"), about.get("app-version")))) or about.get(
        "software", ""
    )
    address = ("to " if session["called"] else "from ") + session["address"]
    return name, kind, address, f"{trip:.1f} ms" if trip else "", _age(session["since_s"]), app


def _size(session: Mapping[str, Any]) -> str:
    if session["state"] != "open":
        return "not in yet"
    return "large" if session["large"] else "small"


def _wants(session: Mapping[str, Any]) -> list[str]:
    listed = [f"{one['collection']} {one['selector']}".rstrip() for one in session["subscriptions"]]
    more = session["subscription_count"] - len(listed)
    return [*listed, f"and {more} more"] if more else listed


def _age(seconds: float) -> str:
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"for {seconds // size:.0f} {unit}"
    return f"for {seconds:.0f} s"
