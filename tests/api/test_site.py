"""All of the API against its own description, and what it says of itself."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.parser import text_string_to_metric_families as parsed

from gateway.api import site
from gateway.core.cloud_records import Greeting
from gateway.core.errors import GatewayError
from tests.support.hub_api import GATEWAY, SHOP, HubApi, code

OPENAPI: dict[str, Any] = json.loads((site.HERE / "openapi.json").read_text(encoding="utf-8"))
DOCUMENT = f"/stores/{SHOP}/documents/orders/1"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[HubApi]:
    with HubApi(tmp_path / "api") as serving:
        serving.hub.put(SHOP, "orders/1", station="grill")
        with closing(serving.hub.open()) as store:
            store.greet([Greeting(SHOP, GATEWAY, ["menu"])])
        yield serving


def resolved(schema: Any) -> Any:
    """A schema without references, that allows nothing but what is described."""
    if isinstance(schema, list):
        return [resolved(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        found: Any = OPENAPI
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return resolved(found)
    inside = {key: resolved(value) for key, value in schema.items()}
    return {**inside, "additionalProperties": False} if "properties" in schema else inside


def operations() -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), path): operation
        for path, item in OPENAPI["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_the_description_is_one() -> None:
    OpenAPIV31SpecValidator(OPENAPI).validate()


def test_every_route_is_described_and_every_description_is_a_route(api: HubApi) -> None:
    routes = {
        (route.method, re.sub(r"<(?:path:)?(\w+)>", r"{\1}", route.path))
        for route in api.site.routes
    }
    assert routes == operations().keys()
    for (_, path), operation in operations().items():
        listed = [*OPENAPI["paths"][path].get("parameters", ()), *operation.get("parameters", ())]
        named = {one["name"] for one in map(resolved, listed) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize(
    ("method", "path", "described", "status"),
    [
        ("GET", "//healthz", "/healthz", 200),
        ("GET", "//readyz", "/readyz", 200),
        ("GET", "//openapi.json", "/openapi.json", 200),
        ("GET", "/stores", "/api/v1/stores", 200),
        ("GET", f"/stores/{SHOP}", "/api/v1/stores/{store}", 200),
        ("GET", "/stores/x", "/api/v1/stores/{store}", 400),
        ("GET", "/stores/" + "c3" * 16, "/api/v1/stores/{store}", 404),
        ("GET", f"/stores/{SHOP}/documents", "/api/v1/stores/{store}/documents", 200),
        ("GET", DOCUMENT, site.DOCUMENT, 200),
        ("GET", f"{DOCUMENT}?fields=true", site.DOCUMENT, 200),
        ("GET", f"{DOCUMENT}9", site.DOCUMENT, 404),
        ("PUT", DOCUMENT, site.DOCUMENT, 200),
        ("PATCH", DOCUMENT, site.DOCUMENT, 200),
        ("PUT", "/stores/" + "c3" * 16 + "/documents/a/b", site.DOCUMENT, 403),
        ("GET", f"/stores/{SHOP}/changes", "/api/v1/stores/{store}/changes", 200),
        ("GET", f"/stores/{SHOP}/changes?after=x", "/api/v1/stores/{store}/changes", 400),
    ],
)
def test_answers_are_as_described(
    api: HubApi, method: str, path: str, described: str, status: int
) -> None:
    if method == "GET":
        got = api.get(path)
    else:
        got = api.put(path, {"a": 1}) if method == "PUT" else api.patch(path, {"b": 2})
    assert got.status == status
    template = re.sub(r"<(?:path:)?(\w+)>", r"{\1}", described)
    responses = operations()[method, template]["responses"]
    schema = resolved(responses[str(status)])["content"]["application/json"]["schema"]
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [error.message for error in validator.iter_errors(got.json)] == []


def test_a_schema_that_is_not_kept_is_noticed() -> None:
    schema = resolved({"$ref": "#/components/schemas/Written"})
    assert [*Draft202012Validator(schema).iter_errors({"document": "a/b", "version": 1, "x": 1})]


def test_nobody_needs_a_token_to_ask_whether_it_lives(api: HubApi) -> None:
    api.token = ""
    for path in ("//", "//openapi.json", "//healthz", "//readyz"):
        assert api.get(path).status == 200
    assert code(api.get("//metrics")) == (401, "unauthorised")
    assert code(api.get("/stores")) == (401, "unauthorised")


def test_the_page_loads_nothing_and_leads_to_the_description(api: HubApi) -> None:
    got = api.get("//")
    assert got.headers["Content-Type"].startswith("text/html")
    text = got.body.decode()
    assert 'href="/openapi.json"' in text
    assert not re.search(r"<script|<style| style=|src=|https?:", text)


@pytest.mark.parametrize("path", ["//", "//healthz", "/stores", "/stores/x", "//none"])
def test_every_answer_is_hardened(api: HubApi, path: str) -> None:
    headers = api.get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers and "Server" not in headers


def test_it_is_ready_when_database_and_broker_are(tmp_path: Path) -> None:
    with HubApi(tmp_path / "api") as api:
        assert api.get("//readyz").json == {"ok": True, "database": "", "broker": ""}
        api.hub.broker = "broker-unreachable"
        got = api.get("//readyz")
        assert (got.status, got.json["broker"]) == (503, "broker-unreachable")
        assert api.get("//healthz").status == 200


def test_metrics_are_read_by_prometheus_and_count(api: HubApi) -> None:
    api.get("/stores/x")
    api.put(DOCUMENT, {"a": 1})
    got = api.get("//metrics")
    assert got.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {
        (one.name, *one.labels.values()): one.value
        for family in parsed(got.body.decode())
        for one in family.samples
    }
    assert found["store_gateway_hub_documents",] == 1
    assert found["store_gateway_hub_gateways",] == 1
    assert found["store_gateway_hub_http_edits_total",] == 1
    assert found["store_gateway_hub_http_answers_total", "4xx"] == 1
    assert found["store_gateway_hub_database_working",] == 1
    assert found["process_open_fds",] == 3
    for canary in (b"orders", SHOP.encode(), GATEWAY.encode()):
        assert canary not in got.body


def test_metrics_are_there_without_a_database(tmp_path: Path) -> None:
    with HubApi(tmp_path / "api") as api:
        api.hub.failure = GatewayError("hub-database-unreachable", "away")
        text = api.get("//metrics").body.decode()
    assert "store_gateway_hub_database_working 0\n" in text
    assert "store_gateway_hub_documents" not in text
