"""Which documents are sent to a hub, in which order, and how long it will take."""

from gateway.core import relay as module
from gateway.core.relay import RATE_SECONDS, Rate, Relay


def started(collections: list[str] | None = None) -> Relay:
    """One that knows all that the outbox holds: nothing."""
    relay = Relay(collections)
    assert relay.more
    relay.found([], relay.question(10), 0.0)
    assert not relay.more
    return relay


def test_documents_go_in_their_order_and_each_in_one_message_at_a_time() -> None:
    relay = started()
    assert relay.news(["a/1", "a/2"], 1.0) and relay.news(["a/3"], 2.0)
    assert not relay.news(["a/1"], 3.0)
    assert relay.next(2) == ("a/1", "a/2") and relay.waiting == 3
    assert not relay.news(["a/1", "a/1"], 4.0) and relay.next(9) == ("a/3",)
    assert relay.flies("a/1") and relay.waits("a/1") and not relay.waits("b/1")
    assert relay.oldest_seconds(11.0) == 10.0
    relay.sent(["a/1", "a/2", "a/3"])
    # It changed while it was on its way.
    assert relay.next(9) == ("a/1",) and relay.oldest_seconds(11.0) == 7.0
    relay.sent(["a/1"])
    assert relay.next(9) == () and relay.waiting == 0 and relay.oldest_seconds(9.0) is None


def test_what_waited_before_the_start_is_as_old_as_it_is_known_to_be() -> None:
    relay = Relay(None)
    relay.resume([], 0.0, 50.0)
    assert relay.waiting == 0 and relay.oldest_seconds(60.0) is None
    relay.resume(["a/1", "a/2"], 3_600.0, 50.0)
    assert relay.oldest_seconds(60.0) == 3_610.0 and relay.more
    assert relay.next(1) == ("a/1",) and relay.is_sending
    relay.sent(["a/1"])
    assert relay.oldest_seconds(60.0) == 10.0 and not relay.is_sending


def test_a_document_of_which_more_waits_is_next() -> None:
    relay = started()
    relay.news(["a/1", "a/2", "a/3"], 1.0)
    assert relay.next(2) == ("a/1", "a/2")
    relay.news(["a/1", "a/2"], 2.0)
    relay.sent(["a/1", "a/2"], more=["a/1"])
    assert relay.oldest_seconds(5.0) == 4.0
    assert relay.next(9) == ("a/1", "a/3", "a/2")


def test_only_what_is_for_the_hub_is_sent() -> None:
    relay = started(["orders"])
    assert not relay.news(["staff/1"], 0.0) and relay.news(["orders/1"], 0.0)
    assert relay.sends("orders/2") and not relay.sends("staff/2") and Relay(None).sends("staff/2")


def test_what_was_not_taken_is_in_front_again_and_as_old_as_before() -> None:
    relay = started()
    relay.news(["a/1", "a/2"], 1.0)
    relay.next(1)
    relay.news(["a/1"], 2.0)
    relay.back(["a/1"])
    assert relay.oldest_seconds(5.0) == 4.0 and relay.next(9) == ("a/1", "a/2")
    relay.sent(["a/1", "a/2"])
    assert relay.next(9) == ()


def test_more_names_than_are_kept_are_asked_for_later() -> None:
    relay = started()
    names = [f"a/{number}" for number in range(module.MOST_NAMES + 1)]
    relay.news(names, 1.0)
    assert relay.waiting == module.MOST_NAMES and relay.more
    taken = relay.next(module.MOST_NAMES)
    assert relay.question(5) == 5 + module.MOST_NAMES
    relay.found(names, relay.question(5), 2.0)
    assert not relay.more and relay.next(5) == (names[-1],)
    relay.sent([*taken, names[-1]])
    relay.found(names[:5], 5, 3.0)
    assert relay.more


def test_what_is_too_long_is_put_aside_until_another_connection() -> None:
    relay = started()
    relay.news(["a/1", "a/2"], 0.0)
    relay.next(2)
    relay.put_aside(["a/1"])
    assert (relay.aside, relay.waiting, relay.question(1)) == (1, 2, 3)
    assert relay.waits("a/1") and not relay.flies("a/1")
    relay.found(["a/1", "a/2"], 3, 0.0)
    assert relay.next(9) == ()
    relay.begin()
    assert relay.more and relay.aside == 0


def test_what_is_left_is_forgotten() -> None:
    relay = started()
    relay.news(["a/1", "a/2"], 0.0)
    relay.next(1)
    relay.news(["a/1"], 1.0)
    relay.forget()
    assert relay.waiting == 1 and not relay.more
    relay.sent(["a/1"])
    assert relay.waiting == 0


def test_how_long_the_rest_takes() -> None:
    rate = Rate()
    assert rate.seconds(0, 5.0) == 0.0 and rate.seconds(100, 5.0) is None
    rate.acknowledged(1_000, 10.0, 12.0)
    rate.acknowledged(500, 12.0, 12.5)
    rate.acknowledged(500, 12.5, 14.0)
    assert rate.seconds(5_000, 14.0) == 10.0
    # What was long ago says nothing.
    assert rate.seconds(5_000, 15.0 + RATE_SECONDS) is None
