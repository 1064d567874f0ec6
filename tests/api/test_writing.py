"""Documents put and patched."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import GatewayError
from tests.support.hub_api import OTHER, READ_ALL, SHOP, HubApi, code

WHERE = f"/stores/{SHOP}/documents/orders/1"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[HubApi]:
    with HubApi(tmp_path / "api") as serving:
        yield serving


def test_put_and_patch(api: HubApi) -> None:
    got = api.put(WHERE, {"station": "grill", "notes": {"a": 1, "b": 2}})
    assert got.json == {"document": "orders/1", "version": 1}
    assert got.headers["ETag"] == api.get(WHERE).headers["ETag"] == 'W/"1"'
    got = api.patch(WHERE, {"station": None, "notes": {"a": None, "c": 3}, "status": "open"})
    assert got.json["version"] == 2
    fields = {"notes": {"b": 2, "c": 3}, "status": "open"}
    assert api.get(f"{WHERE}?fields=true").json == fields
    # The same again changes nothing.
    assert api.put(WHERE, fields).json["version"] == 2
    assert api.patch(WHERE, {"status": "open"}).json["version"] == 2
    assert api.put(f"{WHERE}?root=more", {"x": 1}).status == 200
    assert api.get(WHERE).json == {"fields": fields, "more": {"x": 1}}


def test_what_get_gave_can_be_put_back(api: HubApi) -> None:
    api.put(f"/stores/{SHOP}/documents/orders/a%2Fb", {"$odd": "ö\u2028", "n": [1, {"x": None}]})
    fields = api.get(f"/stores/{SHOP}/documents/orders/a/b?fields=true").json
    assert api.put(f"/stores/{SHOP}/documents/orders/a/b", fields).json["version"] == 1


def test_writing_takes_the_right_to(api: HubApi) -> None:
    shown = {"Authorization": f"Bearer {READ_ALL}"}
    assert code(api.put(WHERE, {}, **shown)) == (403, "forbidden")
    assert code(api.patch(WHERE, {}, **shown)) == (403, "forbidden")
    assert code(api.put(f"/stores/{OTHER}/documents/orders/1", {})) == (403, "forbidden")
    assert code(api.put(WHERE, {}, Authorization="")) == (401, "unauthorised")
    assert code(api.get(WHERE)) == (404, "no-document")


def test_without_a_file_of_tokens_nothing_is_written(tmp_path: Path) -> None:
    with HubApi(tmp_path / "api", tokens=False) as api:
        assert code(api.put(WHERE, {"a": 1}, Authorization="")) == (403, "forbidden")


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"{", {}, (400, "bad-json")),
        (b"\xff", {}, (400, "bad-json")),
        (b"[]", {}, (400, "bad-json")),
        (b'"a"', {}, (400, "bad-json")),
        (b"", {}, (400, "bad-json")),
        (b'{"a": NaN}', {}, (400, "bad-json")),
        (b'{"a": 1e999}', {}, (400, "bad-json")),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, {}, (400, "bad-json")),
        (b'{"a": 9007199254740993}', {}, (400, "usage")),
        (b'{"a": "\\ud800"}', {}, (400, "usage")),
        (b'{"a": "' + b"x" * 262_144 + b'"}', {}, (413, "too-big")),
        (b"{}", {"Content-Type": ""}, (415, "bad-type")),
        (b"{}", {"Content-Type": "text/plain"}, (415, "bad-type")),
        (b"{}", {"Content-Type": "application/merge-patch+json"}, (415, "bad-type")),
        (b"{}", {"Content-Encoding": "gzip"}, (415, "bad-type")),
        (b"{}", {"If-Match": 'W/"1"'}, (400, "no-conditions")),
    ],
)
def test_what_cannot_be_put(
    api: HubApi, body: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    got = api.put(WHERE, body, **headers)
    if got.headers["Content-Type"] != "application/json":
        # What is much too large the server refuses by itself.
        assert got.status == expected[0] == 413
    else:
        assert code(got) == expected
    assert api.get(WHERE).status == 404


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("shared-type", 409), ("refused", 422), ("too-big", 413), ("usage", 400),
        ("hub-no-space", 404), ("no-store", 404), ("hub-database-full", 507),
        ("hub-database-unreachable", 503), ("anything-else", 500),
    ],
)  # fmt: skip
def test_what_the_hub_says_no_to(tmp_path: Path, error: str, status: int) -> None:
    def edit(*_: Any) -> None:
        raise GatewayError(error, "it is so")

    with HubApi(tmp_path / "api", edit=edit) as api:
        assert code(api.put(WHERE, {"a": 1})) == (status, error)


def test_content_is_in_no_log(api: HubApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    api.put(WHERE, {"secret": "canary-4711"})
    api.patch(WHERE, {"secret": {"canary-4711": 1}})
    api.put(WHERE, b'{"canary-4711"')
    api.put(WHERE, {"canary-4711": 2**60})
    assert "4711" not in caplog.text
