"""Changes: pages, long polls and events, over real connections."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

import pytest

from gateway.core.errors import GatewayError
from tests.support.gateway import eventually
from tests.support.hub_api import OTHER, READ_ALL, READERS, SHOP, WRITE_SHOP, HubApi, code
from tests.support.serving import read_until, request

CHANGES = f"/stores/{SHOP}/changes"
EVENTS = "Accept: text/event-stream"
TOKEN = f"Authorization: Bearer {READ_ALL}"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[HubApi]:
    with HubApi(tmp_path / "api", heartbeat=0.4) as serving:
        for number in range(3):
            serving.hub.put(SHOP, f"orders/{number}", number=number)
        yield serving


class Events:
    """A stream of events; ``read`` gives the next as a dict of its fields."""

    def __init__(self, api: HubApi, query: str = "", *headers: str) -> None:
        self.link = api.serving.link(request(f"/api/v1{CHANGES}{query}", EVENTS, TOKEN, *headers))
        head, self._rest = read_until(self.link, b"\r\n\r\n").split(b"\r\n\r\n", 1)
        self.head = head.decode().lower()
        self._text = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def read(self, *, comments: bool = False) -> dict[str, Any]:
        while True:
            while b"\n\n" not in self._text:
                self._more()
            event, self._text = self._text.split(b"\n\n", 1)
            fields = dict(line.split(": ", 1) for line in event.decode().split("\n"))
            if comments or "" not in fields:
                return fields

    def data(self) -> Any:
        """The next change; what else comes is passed over."""
        while True:
            fields = self.read()
            if fields.get("event") == "change":
                return json.loads(fields["data"])

    def _more(self) -> None:
        """One chunk of the transfer encoding."""
        while b"\r\n" not in self._rest:
            self._receive()
        size, self._rest = self._rest.split(b"\r\n", 1)
        length = int(size, 16)
        assert length, "the stream ended"
        while len(self._rest) < length + 2:
            self._receive()
        self._text += self._rest[:length]
        self._rest = self._rest[length + 2 :]

    def _receive(self) -> None:
        data = self.link.recv(65_536)
        assert data, "the connection ended"
        self._rest += data


def names(got: Any) -> list[str]:
    return [row["document"] for row in got.json["changes"]]


def test_pages_from_a_place_to_the_end(api: HubApi) -> None:
    first = api.get(f"{CHANGES}?limit=2")
    assert names(first) == ["orders/0", "orders/1"]
    assert first.json["changes"][0]["version"] == 1
    second = api.get(f"{CHANGES}?limit=2&after={first.json['next']}")
    assert names(second) == ["orders/2"]
    api.hub.put(SHOP, "orders/0", number=9)
    api.hub.put(OTHER, "orders/1", number=9)
    third = api.get(f"{CHANGES}?after={second.json['next']}")
    assert names(third) == ["orders/0"] and third.json["changes"][0]["version"] == 2
    now = api.get(f"{CHANGES}?after=now")
    assert names(now) == [] and names(api.get(f"{CHANGES}?after={now.json['next']}")) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("after=x", "hub-bad-place"), ("wait=61", "usage"), ("wait=x", "usage"),
        ("content=true", "usage"), ("content=1", "usage"), ("limit=0", "usage"),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_checked(api: HubApi, query: str, expected: str) -> None:
    assert code(api.get(f"{CHANGES}?{query}")) == (400, expected)


def test_a_place_that_is_none_is_told_before_a_stream_begins(api: HubApi) -> None:
    got = api.get(f"{CHANGES}?after=x", Accept="text/event-stream")
    assert code(got) == (400, "hub-bad-place")


def test_a_long_poll_waits_for_a_change_of_its_store(api: HubApi) -> None:
    place = api.get(f"{CHANGES}?after=now").json["next"]
    got: list[Any] = []
    asker = threading.Thread(
        target=lambda: got.append(api.get(f"{CHANGES}?after={place}&wait=30")), name="asker"
    )
    asker.start()
    eventually(lambda: _readers(api) == 1)
    api.hub.put(OTHER, "orders/1", number=1)
    api.hub.put(SHOP, "orders/new", number=1)
    asker.join(20)
    assert names(got[0]) == ["orders/new"]
    assert _readers(api) == 0


def test_a_long_poll_ends_without_a_change_too(api: HubApi) -> None:
    place = api.get(f"{CHANGES}?after=now").json["next"]
    began = time.monotonic()
    got = api.get(f"{CHANGES}?after={place}&wait=1")
    assert names(got) == [] and 0.9 < time.monotonic() - began < 10
    assert names(api.get(f"{CHANGES}?after={got.json['next']}")) == []


def test_events_tell_what_is_there_and_what_comes(api: HubApi) -> None:
    with Events(api) as events:
        assert "content-type: text/event-stream" in events.head
        assert "cache-control: private, no-cache" in events.head
        assert events.read() == {"retry": "3000"}
        for number in range(3):
            event = events.read()
            assert event["event"] == "change"
            assert json.loads(event["data"])["document"] == f"orders/{number}"
            # Only the last of what the database told has the place behind all of it.
            assert ("id" in event) == (number == 2)
        api.hub.put(OTHER, "orders/1", number=1)
        api.hub.put(SHOP, "orders/new", number=1)
        new = events.read()
        while new.get("event") != "change":
            new = events.read()
        assert json.loads(new["data"])["document"] == "orders/new" and new["id"]
    with Events(api, "?after=s0", f"Last-Event-ID: {new['id']}") as events:
        assert events.read() == {"retry": "3000"}
        assert events.read() == {"id": new["id"]}
        api.hub.put(SHOP, "orders/0", number=7)
        new_again = events.data()
        assert (new_again["document"], new_again["version"]) == ("orders/0", 2)


def test_events_from_now_on_have_a_place_at_once(api: HubApi) -> None:
    with Events(api, "?after=now") as events:
        events.read()
        place = events.read()["id"]
        api.hub.put(SHOP, "orders/new", number=1)
        assert events.data()["document"] == "orders/new"
    assert names(api.get(f"{CHANGES}?after={place}")) == ["orders/new"]


def test_events_with_content(api: HubApi) -> None:
    api.hub.put(SHOP, "orders/large", text="x" * 200_000, more="y" * 80_000)
    api.hub.put(SHOP, "orders/broken", a=1)
    api.hub.break_(SHOP, "orders/broken", b"canary")
    with Events(api, "?content=true") as events:
        assert [events.data()["content"] for _ in range(3)] == [
            {"fields": {"number": number}} for number in range(3)
        ]
        assert events.data()["content"] == {"$truncated": True}
        assert events.data()["content"] is None


def test_nothing_to_tell_is_told_by_a_comment(api: HubApi) -> None:
    with Events(api, "?after=now") as events:
        events.read()
        events.read()
        assert events.read(comments=True) == {"": "still here"}


def test_readers_are_not_more_than_may_be_and_others_are_answered(api: HubApi) -> None:
    with ExitStack() as stack:
        readers = [stack.enter_context(Events(api)) for _ in range(READERS)]
        got = api.get(CHANGES, Accept="text/event-stream")
        assert code(got) == (503, "too-many-readers") and got.headers["Retry-After"]
        assert code(api.get(f"{CHANGES}?after=now&wait=1")) == (503, "too-many-readers")
        # Those that only ask are answered, many at once.
        assert names(api.get(CHANGES)) == ["orders/0", "orders/1", "orders/2"]
        api.hub.put(SHOP, "orders/new", number=1)
        for reader in readers:
            while reader.data()["document"] != "orders/new":
                pass
    eventually(lambda: _readers(api) == 0)
    with Events(api) as events:
        events.read()


def test_a_head_of_a_stream_keeps_no_place(api: HubApi) -> None:
    for _ in range(READERS + 2):
        assert api.ask("HEAD", CHANGES, None, Accept="text/event-stream").status == 200
    eventually(lambda: _readers(api) == 0)


def test_who_is_let_in_no_more_is_told_and_cut(api: HubApi) -> None:
    with closing(
        api.serving.link(
            request(f"/api/v1{CHANGES}?after=now", EVENTS, f"Authorization: Bearer {WRITE_SHOP}")
        )
    ) as link:
        read_until(link, b"retry")
        api.tokens.write_text("")
        data = read_until(link, b"unauthorised")
        assert b"event: problem" in data
        while link.recv(65_536):
            pass
    eventually(lambda: api.site.counts.readers == 0)


def test_a_database_that_fails_is_waited_for(api: HubApi, caplog: pytest.LogCaptureFixture) -> None:
    with Events(api, "?after=now") as events:
        events.read()
        events.read()
        api.hub.failure = GatewayError("hub-database-unreachable", "at 192.0.2.1")
        eventually(lambda: "192.0.2.1" in caplog.text)
        assert events.read(comments=True) == {"": "still here"}
        assert code(api.get(f"{CHANGES}?wait=1")) == (503, "hub-database-unreachable")
        api.hub.failure = None
        api.hub.put(SHOP, "orders/new", number=1)
        assert events.data()["document"] == "orders/new"


def test_a_reader_that_takes_nothing_is_cut(tmp_path: Path) -> None:
    with HubApi(tmp_path / "api", slow_seconds=0.5) as api:
        for number in range(60):
            api.hub.put(SHOP, f"orders/{number}", text="x" * 200_000)
        sent = request(f"/api/v1{CHANGES}?content=true", EVENTS, TOKEN)
        with closing(api.serving.link(sent, receive_bytes=4_096)):
            eventually(lambda: api.site.counts.readers == 1)
            eventually(lambda: api.site.counts.readers == 0)
            assert api.get("/stores").status == 200


def test_a_stop_ends_streams_and_polls_at_once(tmp_path: Path) -> None:
    ended: list[Any] = []
    with HubApi(tmp_path / "api") as api:
        api.hub.put(SHOP, "orders/1", number=1)
        asker = threading.Thread(
            target=lambda: ended.append(api.get(f"{CHANGES}?after=now&wait=60")), name="asker"
        )
        asker.start()
        events = Events(api)
        eventually(lambda: api.site.counts.readers == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    asker.join(10)
    assert ended[0].status == 200
    events.link.close()


def test_a_client_of_the_standard_library_reads_it(api: HubApi) -> None:
    where = f"http://127.0.0.1:{api.serving.port}/api/v1{CHANGES}"
    asked = Request(where, headers={"Accept": "text/event-stream", "Authorization": TOKEN[15:]})
    with urlopen(asked, timeout=20) as answer:
        lines = iter(answer)
        assert next(lines) == b"retry: 3000\n"
        assert b"event: change\n" in {next(lines) for _ in range(3)}


def _readers(api: HubApi) -> int:
    return api.site.counts.readers
