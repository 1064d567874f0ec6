"""Apps of routes: what handlers are given, and what goes wrong."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.http.app import App
from gateway.http.messages import Answer, HttpProblem, Request, Route, as_json
from tests.support.serving import Serving


def tell(request: Request) -> Answer:
    said = {
        "method": request.method, "path": request.path, "query": dict(request.query),
        "parts": dict(request.parts), "host": request.host, "remote": request.remote,
        "header": request.header("X-One"), "body": request.read().decode(),
    }  # fmt: skip
    return Answer(as_json(said))


def fail(request: Request) -> Answer:
    raise ValueError("canary " + request.query["q"])


def refuse(request: Request) -> Answer:
    raise HttpProblem(409, "so-so", "it is so", {"Retry-After": "5"})


def break_off(request: Request) -> Answer:
    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise ValueError(f"canary-{4710 + 1}")

    return Answer(pieces(), type="text/plain")


ROUTES = [
    Route("GET", "/break-off", break_off),
    Route("GET", "/tell/<one>/<path:more>", tell),
    Route("PUT", "/tell/<one>/<path:more>", tell),
    Route("GET", "/fail", fail),
    Route("GET", "/refuse", refuse),
    Route("GET", "/pieces", lambda _: Answer([b"a", b"", b"b"], type="text/plain")),
]


def client(**options: Any) -> Any:
    def check(request: Request) -> None:
        if request.host == "evil":
            raise HttpProblem(403, "evil", "no")

    app = App(ROUTES, check, lambda _: {"X-Hard": "1", "Cache-Control": "no-store"},
              body_bytes=20, **options)  # fmt: skip
    return app.wsgi.test_client()


def test_a_handler_is_given_what_was_asked() -> None:
    answer = client().put(
        "/tell/a%20b/c%2Fd/%C3%BC?q=%C3%A4&p=2", data=b"body", headers={"X-One": "1"}
    )
    assert answer.get_json() == {
        "method": "PUT", "path": "/tell/a b/c/d/ü", "query": {"q": "ä", "p": "2"},
        "parts": {"one": "a b", "more": "c/d/ü"}, "host": "localhost", "remote": "127.0.0.1",
        "header": "1", "body": "body",
    }  # fmt: skip
    assert answer.headers["X-Hard"] == "1"
    assert client().get("/pieces").data == b"ab"
    assert client().head("/tell/a/b").data == b""


@pytest.mark.parametrize(
    "url",
    [
        "/tell/a/%",
        "/tell/a/%zz",
        "/tell/a/%c3",
        "/tell/a/%ff%fe",
        "/tell/a/b?q=%",
        "/tell/a/b?q=%c3",
        "/tell/a/b?" + "&".join("a" * 40),
    ],
)
def test_what_is_not_percent_encoded_text_is_refused_and_not_mended(url: str) -> None:
    with Serving(App(ROUTES, lambda _: None, lambda _: {}, body_bytes=20).wsgi) as serving:
        answer = serving.get(url)
        assert (answer.status, answer.json["code"]) == (400, "bad-url")
        assert serving.get("/tell/a/b%25").json["path"] == "/tell/a/b%"


@pytest.mark.parametrize(
    ("method", "url", "status", "code"),
    [
        ("GET", "/none", 404, "not-found"),
        ("GET", "/tell/a//b", 404, "not-found"),
        ("POST", "/fail", 405, "bad-method"),
        ("OPTIONS", "/fail", 405, "bad-method"),
        ("GET", "/refuse", 409, "so-so"),
        ("PUT", "/tell/a/b", 413, "too-big"),
    ],
)
def test_what_goes_wrong_is_said_as_json(method: str, url: str, status: int, code: str) -> None:
    answer = client().open(url, method=method, data=b"x" * 21 if method == "PUT" else None)
    assert answer.status_code == status and answer.headers["X-Hard"] == "1"
    assert answer.get_json()["code"] == code
    if code == "bad-method":
        assert answer.headers["Allow"] == "GET, HEAD"
    if code == "so-so":
        assert answer.headers["Retry-After"] == "5"


def test_a_mistake_of_ours_is_logged_without_what_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = client().get("/fail?q=canary-4711")
    assert (answer.status_code, answer.get_json()["code"]) == (500, "internal")
    assert "ValueError" in caplog.text and "in fail" in caplog.text
    assert "4711" not in caplog.text


def test_a_mistake_within_an_answer_ends_it_and_is_logged_alike(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Serving(App(ROUTES, lambda _: None, lambda _: {}).wsgi) as serving:
        assert serving.get("/break-off").body == b"a"
    assert "ValueError" in caplog.text and "in pieces" in caplog.text
    assert "4711" not in caplog.text


def test_who_is_not_let_in_is_told_so_everywhere_and_counted() -> None:
    heard: list[tuple[str, int]] = []
    app = client(counted=lambda method, status: heard.append((method, status)))
    for url in ("/none", "/refuse"):
        assert app.get(url, headers={"Host": "evil"}).get_json()["code"] == "evil"
    assert heard == [("GET", 403)] * 2
