"""Awareness: highest clock wins, owners leave, silence expires, nobody plays another."""

from gateway.core.guard import AwarenessEntry, inspect_awareness
from gateway.core.presence import EXPIRY_SECONDS, MAX_CLIENTS_PER_OWNER, Presence

ADA = AwarenessEntry(1, 1, '{"name":"Ada"}')


def shown(payload: bytes | None) -> list[tuple[int, int, str]]:
    if payload is None:
        return []
    return [(e.client, e.clock, e.state_json) for e in inspect_awareness(payload)]


def test_news_are_passed_on_once() -> None:
    presence = Presence()
    assert shown(presence.update("s1", "ada", [ADA], 0.0)) == [(1, 1, '{"name":"Ada"}')]
    assert presence.update("s1", "ada", [ADA], 1.0) is None
    older = AwarenessEntry(1, 0, "{}")
    assert presence.update("s1", "ada", [older], 1.0) is None
    assert shown(presence.payload()) == [(1, 1, '{"name":"Ada"}')]


def test_gone_at_the_same_clock_counts() -> None:
    presence = Presence()
    presence.update("s1", "ada", [ADA], 0.0)
    assert shown(presence.update("s1", "ada", [AwarenessEntry(1, 1, "null")], 0.0)) == [
        (1, 1, "null")
    ]
    assert presence.update("s1", "ada", [AwarenessEntry(1, 1, "null")], 0.0) is None
    assert presence.payload() is None


def test_another_peer_cannot_speak_for_one_who_is_here() -> None:
    presence = Presence()
    presence.update("s1", "ada", [ADA], 0.0)
    forged = AwarenessEntry(1, 99, '{"name":"Eve"}')
    assert presence.update("s2", "eve", [forged], 0.0) is None
    presence.leave("s1", 1.0)
    assert presence.update("s2", "eve", [forged], 1.0) is not None


def test_a_peer_that_reconnects_keeps_its_own() -> None:
    presence = Presence()
    presence.update("s1", "ada", [ADA], 0.0)
    renewed = AwarenessEntry(1, 2, '{"name":"Ada"}')
    assert presence.update("s2", "ada", [renewed], 1.0) is not None
    assert presence.leave("s1", 2.0) is None
    assert shown(presence.leave("s2", 2.0)) == [(1, 3, "null")]


def test_silence_expires_and_is_forgotten_later() -> None:
    presence = Presence()
    presence.update("s1", "ada", [ADA], 0.0)
    assert presence.expire(EXPIRY_SECONDS - 1) is None
    assert shown(presence.expire(EXPIRY_SECONDS)) == [(1, 2, "null")]
    assert presence
    assert presence.expire(2 * EXPIRY_SECONDS) is None
    assert not presence


def test_an_owner_brings_a_bounded_number() -> None:
    presence = Presence()
    crowd = [AwarenessEntry(number, 1, "{}") for number in range(1, 200)]
    taken = shown(presence.update("s1", "ada", crowd, 0.0))
    assert len(taken) == MAX_CLIENTS_PER_OWNER
    assert len(shown(presence.update("s2", "bea", [AwarenessEntry(900, 1, "{}")], 0.0))) == 1
