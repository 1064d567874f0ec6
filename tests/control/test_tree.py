"""The tree of links that ``status`` prints."""

from typing import Any

from gateway.control.tree import tree


def session(**facts: Any) -> dict[str, Any]:
    return {
        "peer": "ab" * 16, "kind": "mesh", "state": "open", "large": False, "called": False,
        "address": "192.0.2.7:5000", "about": {}, "round_trip_ms": None, "since_s": 5.0,
        "subscriptions": [], "subscription_count": 0, **facts,
    }  # fmt: skip


def test_who_is_linked_and_what_they_want() -> None:
    wants = [{"collection": "orders", "selector": '{"station":"grill"}'}]
    sessions = [
        session(about={"name": "grill", "app": "kitchen", "app-version": "2"}, round_trip_ms=0.42,
                subscriptions=[*wants, {"collection": "menu", "selector": ""}],
                subscription_count=5, since_s=7_300.0),
        session(large=True, called=True, address="192.0.2.9:8787", about={"software": "gw 1"},
                since_s=200_000.0),
        session(kind="y-websocket", peer="192.0.2.8", since_s=90.0),
        session(state="auth", peer=""),
    ]  # fmt: skip
    said = tree({"peer": "cd" * 16, "sessions": sessions, "session_count": 5})
    assert said.splitlines() == [
        "this device (cdcdcdcd)",
        "├─ grill      small        from 192.0.2.7:5000  0.4 ms  for 2 h    kitchen 2",
        '│    wants orders {"station":"grill"}',
        "│    wants menu",
        "│    wants and 3 more",
        "├─ abababab   large        to 192.0.2.9:8787            for 2 d    gw 1",
        "├─ 192.0.2.8  y-websocket  from 192.0.2.7:5000          for 1 min",
        "└─ ?          not in yet   from 192.0.2.7:5000          for 5 s",
        "   and 1 more",
    ]


def test_nobody() -> None:
    said = tree({"peer": "cd" * 16, "sessions": [], "session_count": 0})
    assert said == "this device (cdcdcdcd)\n└─ nobody is linked at the moment"
