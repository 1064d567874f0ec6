"""The tree of links that ``status`` prints."""

from typing import Any

from gateway.control.tree import tree, versions


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


def beyond(number: int, via: str, hops: int, **facts: Any) -> dict[str, Any]:
    return {
        "peer": f"{number:02}" * 16, "via": via, "hops": hops, "large": False, "round_trip_ms": 0,
        "since_s": 5, "about": {}, "wants": [], "links": [], **facts,
    }  # fmt: skip


def test_who_lies_beyond() -> None:
    near = session(large=True)
    here = near["peer"]
    graph = [
        beyond(0, "", 1, peer=here),
        beyond(11, here, 2, large=True, round_trip_ms=3, about={"software": "gw 1"}),
        beyond(12, here, 2, about={"name": "till", "app": "kiosk"}, wants=["orders", "menu"]),
        beyond(13, "11" * 16, 3, since_s=7_300),
    ]
    said = tree({
        "peer": "cd" * 16, "sessions": [near, session(peer="ee" * 16)], "session_count": 2,
        "graph": graph,
    })  # fmt: skip
    assert said.splitlines() == [
        "this device (cdcdcdcd)",
        "├─ abababab  large  from 192.0.2.7:5000    for 5 s",
        "│  ├─ 11111111  large  3 ms  for 5 s  gw 1",
        "│  │  └─ 13131313  small  for 2 h",
        "│  └─ till  small  for 5 s  kiosk  wants orders, menu",
        "└─ eeeeeeee  small  from 192.0.2.7:5000    for 5 s",
    ]


def test_versions() -> None:
    assert versions({"apps": []}) == ""
    apps = [
        {"app": "kiosk", "app-version": "1.2", "schema": "3", "peers": 2, "seen_s": 0.0},
        {"app": "kiosk", "app-version": "", "schema": "", "peers": 1, "seen_s": 0.0},
        {"app": "", "app-version": "", "schema": "2", "peers": 0, "seen_s": 90.0},
    ]
    assert versions({"apps": apps}).splitlines() == [
        "versions in the store",
        "  kiosk 1.2 schema 3: 2 devices",
        "  kiosk: 1 device",
        "  ? schema 2: nobody for 1 min",
    ]
