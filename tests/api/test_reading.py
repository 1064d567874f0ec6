"""Stores and documents, read."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.core.cloud_records import Greeting
from gateway.core.errors import GatewayError
from tests.support.hub_api import (
    GATEWAY,
    OTHER,
    READ_OTHER,
    SHARE,
    SHOP,
    WRITE_SHOP,
    HubApi,
    code,
)

QUOTED = "share:men%C3%BC"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[HubApi]:
    with HubApi(tmp_path / "api") as serving:
        hub = serving.hub
        hub.put(SHOP, "orders/1", station="grill")
        hub.put(SHOP, "orders/a/b", station="bar")
        hub.put(SHOP, "tables/ö%", seats=4)
        hub.put(OTHER, "orders/1", station="other")
        hub.put(SHARE, "menu/1", price=3)
        with closing(hub.open()) as store:
            store.greet([Greeting(SHOP, GATEWAY, ["menu"])])
        yield serving


def test_stores_are_listed_by_name_in_pages(api: HubApi) -> None:
    whole = api.get("/stores").json
    assert [row["store"] for row in whole["stores"]] == [SHOP, OTHER, SHARE]
    assert whole["stores"][0]["documents"] == 3 and whole["stores"][0]["gateway_count"] == 1
    assert whole["next"] is None
    first = api.get("/stores?limit=2").json
    assert (len(first["stores"]), first["next"]) == (2, OTHER)
    rest = api.get(f"/stores?limit=2&after={OTHER}").json
    assert [row["store"] for row in rest["stores"]] == [SHARE] and rest["next"] is None


def test_a_token_sees_its_own_stores_alone(api: HubApi) -> None:
    api.token = WRITE_SHOP
    assert [row["store"] for row in api.get("/stores").json["stores"]] == [SHOP, SHARE]
    assert api.get("/stores?limit=1").json["next"] == SHOP
    assert api.get(f"/stores/{QUOTED}").status == 200
    for path in ("", "/documents", "/documents/orders/1", "/changes"):
        assert code(api.get(f"/stores/{OTHER}{path}")) == (403, "forbidden")
    # Whether there is such a store is no more told than that.
    assert code(api.get(f"/stores/{'c3' * 16}")) == (403, "forbidden")


def test_a_store_and_its_gateways(api: HubApi) -> None:
    said = api.get(f"/stores/{SHOP}").json
    (gateway,) = said["gateways"]
    assert gateway["gateway"] == GATEWAY and gateway["wants"] == ["menu"]
    assert gateway["seen"].endswith("+00:00")
    assert said["bytes"] > 0
    assert code(api.get(f"/stores/{'c3' * 16}")) == (404, "no-store")


@pytest.mark.parametrize("name", ["x", "A1" * 16, "a1" * 15, "share:", "share:a%2Fb", "share:%00"])
def test_what_is_no_store(api: HubApi, name: str) -> None:
    assert code(api.get(f"/stores/{name}"))[1] in ("bad-store", "not-found")


def test_documents_are_listed_by_name_in_pages(api: HubApi) -> None:
    def listed(query: str) -> tuple[list[str], Any]:
        said = api.get(f"/stores/{SHOP}/documents{query}").json
        return [row["document"] for row in said["documents"]], said["next"]

    assert listed("") == (["orders/1", "orders/a/b", "tables/ö%"], None)
    assert listed("?collection=orders") == (["orders/1", "orders/a/b"], None)
    assert listed("?limit=2") == (["orders/1", "orders/a/b"], "orders/a/b")
    assert listed("?limit=2&after=orders/a%2Fb") == (["tables/ö%"], None)
    assert listed("?collection=none") == ([], None)
    assert code(api.get(f"/stores/{'c3' * 16}/documents")) == (404, "no-store")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", "usage"), ("limit=1001", "usage"), ("limit=x", "usage"), ("limit=-1", "usage"),
        ("limit=1e3", "usage"), ("after=" + "x" * 300, "usage"), ("after=%00", "usage"),
        ("collection=a/b", "bad-name"), ("collection=" + "x" * 65, "bad-name"),
        ("collection=..", "bad-name"), ("limit=%", "bad-url"),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_checked(api: HubApi, query: str, expected: str) -> None:
    assert code(api.get(f"/stores/{SHOP}/documents?{query}")) == (400, expected)


def test_content_is_what_get_whole_shows_and_fields_what_put_takes(api: HubApi) -> None:
    got = api.get(f"/stores/{SHOP}/documents/orders/1")
    assert got.json == {"fields": {"station": "grill"}}
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["Cache-Control"] == "private, no-cache"
    fields = api.get(f"/stores/{SHOP}/documents/orders/1?fields=true").json
    assert fields == {"station": "grill"}
    assert code(api.get(f"/stores/{SHOP}/documents/orders/1?fields=x")) == (400, "usage")


@pytest.mark.parametrize(
    ("path", "station"),
    [("orders/a/b", "bar"), ("orders/a%2Fb", "bar"), ("orders/a%2fb", "bar"),
     ("o%72ders/1", "grill")],
)  # fmt: skip
def test_an_id_may_hold_slashes_either_way(api: HubApi, path: str, station: str) -> None:
    got = api.get(f"/stores/{SHOP}/documents/{path}")
    assert got.json["fields"]["station"] == station
    assert api.get(f"/stores/{SHOP}/documents/tables/%C3%B6%25").json["fields"] == {"seats": 4}


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("orders/none", 404, "no-document"), ("orders/..", 400, "bad-name"),
        ("orders/%2e%2e/x", 400, "bad-name"), ("orders/%00", 400, "bad-name"),
        ("orders/a%5Cb", 400, "bad-name"), ("orders/%E2%80%AE", 400, "bad-name"),
        ("orders/" + "x" * 250, 400, "bad-name"), ("orders/%C3", 400, "bad-url"),
        ("orders/%zz", 400, "bad-url"), ("orders//x", 404, "not-found"),
        ("orders", 404, "not-found"),
        ("orders/a%2F%2Fb", 400, "bad-name"),
    ],
)  # fmt: skip
def test_names_are_checked_and_never_mended(
    api: HubApi, path: str, status: int, expected: str
) -> None:
    assert code(api.get(f"/stores/{SHOP}/documents/{path}")) == (status, expected)


def test_a_tag_saves_the_content_until_it_changes(api: HubApi) -> None:
    where = f"/stores/{SHOP}/documents/orders/1"
    tag = api.get(where).headers["ETag"]
    assert tag == 'W/"1"'
    for known in (tag, f'"x", {tag}', '"1"'):
        same = api.get(where, If_None_Match=known)
        assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
    api.hub.put(SHOP, "orders/1", station="bar")
    new = api.get(where, If_None_Match=tag)
    assert (new.status, new.headers["ETag"]) == (200, 'W/"2"')
    assert new.json["fields"] == {"station": "bar"}
    assert code(api.get(f"/stores/{SHOP}/documents/orders/9", If_None_Match='W/"0"'))[0] == 404


def test_a_document_that_cannot_be_read_is_said(
    api: HubApi, caplog: pytest.LogCaptureFixture
) -> None:
    api.hub.break_(SHOP, "orders/1", b"canary-4711")
    got = api.get(f"/stores/{SHOP}/documents/orders/1")
    assert code(got) == (500, "document-broken")
    assert "4711" not in caplog.text


@pytest.mark.parametrize(
    ("failure", "status"),
    [("hub-database-unreachable", 503), ("hub-database-full", 507), ("hub-database-damaged", 500)],
)
def test_a_database_that_fails_is_said_without_where_it_is(
    tmp_path: Path, failure: str, status: int
) -> None:
    with HubApi(tmp_path / "api") as api:
        api.hub.failure = GatewayError(failure, "postgres at 192.0.2.1 is away")
        got = api.get("/stores")
        assert code(got) == (status, failure) and b"192.0.2.1" not in got.body
        assert ("Retry-After" in got.headers) == (status == 503)
        assert api.get("//readyz").json == {"ok": False, "database": failure, "broker": ""}
        api.hub.failure = None
        assert api.get("/stores").json["stores"] == []


def test_only_what_the_token_is_for(api: HubApi) -> None:
    api.token = READ_OTHER
    assert [row["store"] for row in api.get("/stores").json["stores"]] == [OTHER]
    assert api.get(f"/stores/{OTHER}/documents/orders/1").status == 200
