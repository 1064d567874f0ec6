"""Awareness: highest clock wins, owners leave, silence expires, nobody plays another."""

import pytest

from gateway.core import presence as presence_module
from gateway.core.guard import AwarenessEntry, inspect_awareness
from gateway.core.presence import (
    EXPIRY_SECONDS,
    MAX_CLIENTS_PER_OWNER,
    PAYLOAD_CLIENTS,
    Presence,
)

ADA = AwarenessEntry(1, 1, '{"name":"Ada"}')


def shown(presence: Presence, clients: list[int] | None = None) -> list[tuple[int, int, str]]:
    return [
        (e.client, e.clock, e.state_json)
        for payload in presence.payloads(clients)
        for e in inspect_awareness(payload)
    ]


def test_news_are_passed_on_once() -> None:
    presence = Presence()
    assert presence.update("s1", "ada", [ADA], 0.0) == [1]
    assert presence.update("s1", "ada", [ADA], 1.0) == []
    older = AwarenessEntry(1, 0, "{}")
    assert presence.update("s1", "ada", [older], 1.0) == []
    assert shown(presence) == [(1, 1, '{"name":"Ada"}')]


def test_gone_at_the_same_clock_counts() -> None:
    presence = Presence()
    presence.update("s1", "ada", [ADA], 0.0)
    gone = AwarenessEntry(1, 1, "null")
    assert presence.update("s1", "ada", [gone], 0.0) == [1]
    assert shown(presence, [1]) == [(1, 1, "null")]
    assert presence.update("s1", "ada", [gone, ADA], 0.0) == []
    assert shown(presence) == [] and shown(presence, [2]) == []


def test_another_peer_cannot_speak_for_one_who_is_here() -> None:
    presence = Presence()
    presence.update("s1", "ada", [ADA], 0.0)
    forged = AwarenessEntry(1, 99, '{"name":"Eve"}')
    assert presence.update("s2", "eve", [forged], 0.0) == []
    presence.leave("s1", 1.0)
    assert presence.update("s2", "eve", [forged], 1.0) == [1]


def test_a_peer_that_reconnects_keeps_its_own() -> None:
    presence = Presence()
    presence.update("s1", "ada", [ADA], 0.0)
    renewed = AwarenessEntry(1, 2, '{"name":"Ada"}')
    assert presence.update("s2", "ada", [renewed], 1.0) == [1]
    assert presence.leave("s1", 2.0) == []
    assert presence.leave("s2", 2.0) == [1]
    assert shown(presence, [1]) == [(1, 3, "null")]


def test_silence_expires_and_is_forgotten_later() -> None:
    presence = Presence()
    presence.update("s1", "ada", [ADA], 0.0)
    presence.update("s1", "ada", [AwarenessEntry(2, 1, "{}")], 1.0)
    presence.update("s1", "ada", [AwarenessEntry(1, 2, "{}")], 2.0)
    assert presence.expire(EXPIRY_SECONDS) == []
    assert presence.expire(EXPIRY_SECONDS + 1) == [2]
    assert presence.expire(EXPIRY_SECONDS + 2) == [1]
    assert shown(presence, [1, 2]) == [(1, 3, "null"), (2, 2, "null")]
    assert presence
    assert presence.expire(2 * EXPIRY_SECONDS + 1) == [] and presence
    assert presence.expire(2 * EXPIRY_SECONDS + 2) == [] and not presence


def test_an_owner_brings_a_bounded_number() -> None:
    presence = Presence()
    crowd = [AwarenessEntry(number, 1, "{}") for number in range(1, 200)]
    assert len(presence.update("s1", "ada", crowd, 0.0)) == MAX_CLIENTS_PER_OWNER
    assert presence.update("s2", "bea", [AwarenessEntry(900, 1, "{}")], 0.0) == [900]


def test_a_document_holds_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_module, "MAX_CLIENTS", 2)
    monkeypatch.setattr(presence_module, "MAX_GONE", 2)
    presence = Presence()
    for number in range(1, 9):
        presence.update(f"s{number}", "ada", [AwarenessEntry(number, 1, "{}")], 0.0)
    assert len(shown(presence)) == 2
    for number in range(1, 9):
        presence.update("s0", "eve", [AwarenessEntry(100 + number, 1, "null")], 0.0)
    assert len(shown(presence, list(range(101, 109)))) == 2


def test_a_crowd_is_told_of_in_several_payloads() -> None:
    presence = Presence()
    for number in range(3):
        crowd = [AwarenessEntry(100 * number + i, 1, "{}") for i in range(MAX_CLIENTS_PER_OWNER)]
        presence.update(number, "ada", crowd, 0.0)
    assert len(presence.payloads()) == 3 * MAX_CLIENTS_PER_OWNER // PAYLOAD_CLIENTS
