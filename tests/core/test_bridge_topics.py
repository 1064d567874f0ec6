"""Topics of a store, and where an answer may go."""

import pytest

from gateway.core.bridge_topics import MAX_ANSWER_TOPIC, HubTopics, Topics

TOPICS = Topics("shops/north", b"\x01" * 16, b"\x02" * 16)
BASE = f"shops/north/{'01' * 16}"


def test_the_topics_of_a_gateway() -> None:
    gateway = "02" * 16
    assert TOPICS.health == f"{BASE}/health/{gateway}"
    assert TOPICS.projected == f"{BASE}/projected/{gateway}"
    assert TOPICS.request == f"{BASE}/command/{gateway}/request"
    assert TOPICS.response == f"{BASE}/command/{gateway}/response"


@pytest.mark.parametrize(
    ("document", "topic"),
    [
        ("orders/17", "orders/17"),
        ("orders/a/b", "orders/a%2Fb"),
        ("a b/+#$%", "a%20b/%2B%23%24%25"),
        ("menü/é", "men%C3%BC/%C3%A9"),
    ],
)
def test_names_are_encoded_so_that_no_level_or_wildcard_is_added(document: str, topic: str) -> None:
    assert TOPICS.json(document) == f"{BASE}/json/{topic}"


@pytest.mark.parametrize("topic", ["answer/office", "x", "answer/a/b"])
def test_an_answer_goes_to_its_store(topic: str) -> None:
    assert TOPICS.may_answer(f"{BASE}/{topic}")
    assert TOPICS.may_answer(TOPICS.response)


@pytest.mark.parametrize(
    "topic",
    [
        "", "answer", BASE, "shops/north/other/answer", f"x{BASE}/answer",
        f"{BASE}/json/orders/1", f"{BASE}/health/x", f"{BASE}/projected/x", TOPICS.request,
        f"{BASE}/command/other/response", f"{BASE}/answer/+", f"{BASE}/answer/#",
        f"{BASE}/answer/\0", f"{BASE}/answer/\n", f"{BASE}/answer/\ufffe",
        f"{BASE}/answer/{'x' * MAX_ANSWER_TOPIC}", f"{BASE}/answer/{'€' * 160}",
    ],
)  # fmt: skip
def test_an_answer_goes_nowhere_else(topic: str) -> None:
    assert not TOPICS.may_answer(topic)


def test_where_the_workers_of_a_hub_are() -> None:
    topics = HubTopics("shops/north")
    assert (topics.up, topics.hub) == ("shops/north/+/up/+", "shops/north/hub")
    assert Topics("shops/north", b"s" * 16, b"p" * 16).hub == topics.hub
