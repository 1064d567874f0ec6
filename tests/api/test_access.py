"""Who is answered."""

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.api.access import Access
from gateway.core.hub_tokens import READ, WRITE, lines, made
from gateway.http.messages import HttpProblem, Request
from tests.support.hub_api import READ_ALL, READ_OTHER, SHARE, SHOP, WRITE_SHOP, HubApi, code
from tests.support.serving import request

NEW = made(b"n" * 32)


def asking(remote: str = "127.0.0.1", host: str = "localhost:8790", **headers: str) -> Request:
    known = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", "/", {}, {}, host, remote, lambda name: known.get(name, ""), bytes)


def refused(access: Access, asked: Request, scope: str = READ, space: str = SHOP) -> str:
    with pytest.raises(HttpProblem) as caught:
        access.admit(asked, scope, space)
    return caught.value.code


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.0.1", "::1"])
@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8790", "[::1]:8790"])
def test_without_a_file_this_machine_may_read(remote: str, host: str) -> None:
    access = Access(None)
    assert access.admit(asking(remote, host), READ, SHOP).reaches("anything")
    assert refused(access, asking(remote, host), WRITE) == "forbidden"


@pytest.mark.parametrize(
    "asked",
    [
        asking("192.168.1.5"),
        asking("::ffff:192.168.1.5"),
        asking(""),
        asking(host="evil.example"),
        asking(host="localhost.evil.example"),
        asking(host="127.0.0.1.evil.example:8790"),
        asking(host=""),
        asking(Origin="http://evil.example"),
        asking(X_Forwarded_For="192.168.1.5"),
        asking(Forwarded="for=192.168.1.5"),
        asking(Via="1.1 proxy"),
        asking(X_Real_IP="192.168.1.5"),
        asking(Sec_Fetch_Site="cross-site"),
        asking(Sec_Fetch_Site="same-site"),
    ],
)
def test_without_a_file_nobody_else_is_answered(asked: Request) -> None:
    assert refused(Access(None), asked) == "local-only"


@pytest.mark.parametrize(
    "shown",
    [
        "", "Bearer", "Bearer ", f"Basic {READ_ALL}", READ_ALL, f"Bearer {READ_ALL[:-1]}",
        f"Bearer {READ_ALL}x", f"Bearer {READ_ALL.upper()}", "Bearer \xff", "Bearer " + "x" * 9_000,
    ],
)  # fmt: skip
def test_with_a_file_a_token_is_needed_wherever_from(tmp_path: Path, shown: str) -> None:
    with HubApi(tmp_path / "api") as api:
        api.token = ""
        got = api.get("/stores", Authorization=shown)
        assert code(got) == (401, "unauthorised")
        assert got.headers["WWW-Authenticate"].startswith("Bearer ")


def test_scopes_and_stores(tmp_path: Path) -> None:
    with HubApi(tmp_path / "api") as api:
        access = Access(api.tokens)

        def shows(token: str) -> Request:
            # With a token it does not matter where from, or by which name.
            return asking("192.168.1.5", "hub.example", Authorization=f"bearer  {token} ")

        assert access.admit(shows(READ_ALL), READ, SHOP).name == "all"
        assert access.admit(shows(WRITE_SHOP), WRITE, SHARE).name == "shop"
        assert refused(access, shows(READ_ALL), WRITE) == "forbidden"
        assert refused(access, shows(READ_OTHER), READ) == "forbidden"
        assert refused(access, shows(READ_ALL), READ, "../x") == "bad-store"


def test_the_file_is_read_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with HubApi(tmp_path / "api") as api:
        api.token = NEW
        assert api.get("/stores").status == 401
        api.write_tokens(lines("new", NEW, [READ], ["*"]))
        assert api.get("/stores").status == 200
        api.write_tokens()
        assert api.get("/stores").status == 401
        api.token = READ_ALL
        for broken in (b"[[token]]\nname = 1", b"\xff", None):
            if broken is None:
                api.tokens.unlink()
            else:
                api.tokens.write_bytes(broken)
            # Whoever was let in before may just have been taken out.
            assert code(api.get("/stores")) == (503, "hub-tokens")
            assert api.get("//healthz").status == 200
        api.write_tokens()
        assert api.get("/stores").status == 200
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1
    assert "nobody is let in by HTTP" in caplog.text
    for secret in (READ_ALL, NEW):
        assert secret not in caplog.text


def test_a_file_that_is_missing_is_said_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Access(None).look()
    assert not caplog.records
    Access(tmp_path / "none.toml").look()
    assert "none.toml: No such file" in caplog.text


def test_a_file_of_the_same_size_and_time_in_its_place_is_noticed(tmp_path: Path) -> None:
    with HubApi(tmp_path / "api") as api:
        assert api.get("/stores").status == 200
        facts = api.tokens.stat()
        other = api.tokens.with_suffix(".new")
        text = api.tokens.read_text().replace(lines("all", READ_ALL, [READ], ["*"])[:40], "", 0)
        digest = text.split('sha256 = "')[1][:64]
        other.write_text(text.replace(digest, digest[::-1]))
        os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        other.replace(api.tokens)
        assert api.get("/stores").status == 401


def test_pages_of_other_sites_are_not_answered_but_links_lead_here(tmp_path: Path) -> None:
    with HubApi(tmp_path / "api") as api:
        got = api.get("//healthz", Sec_Fetch_Site="cross-site")
        assert code(got) == (403, "cross-site")
        link: dict[str, Any] = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
        assert api.get("//", **link).status == 200
        assert not [name for name in got.headers if name.lower().startswith("access-control")]
        assert api.ask("OPTIONS", "/stores").status == 405


def test_whatever_comes_does_no_harm(tmp_path: Path) -> None:
    hostile = [
        request("/api/v1/stores", "Host: evil", f"Authorization: Bearer {READ_ALL}"),
        request("/api/v1/stores", "Authorization: " + "x" * 30_000),
        request("/api/v1/stores", *[f"X-{number}: 1" for number in range(2_000)]),
        request("/%2e%2e/%2e%2e/etc/passwd"),
        request("/../../etc/passwd"),
        request("//evil.example/"),
        request("http://evil.example/api/v1/stores"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500 + b"\r\n\r\n",
        b"GET /api/v1/stores HTTP/9.9\r\n\r\n",
        b"PUT /api/v1/stores HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"PUT /api/v1/stores HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/v1/stores HTTP/1.1\r\nHost: a\r\n" + b"Content-Length: 5\r\n" * 2 + b"\r\nabcde",
    ]
    with HubApi(tmp_path / "api", tokens=False) as api:
        for sent in hostile:
            with api.serving.link(sent) as link:
                link.settimeout(5)
                data = link.recv(65_536)
            assert b" 200 " not in data.partition(b"\r\n")[0] or b"stores" not in data, sent
            assert b"Traceback" not in data
        assert api.get("/stores").json == {"stores": [], "next": None}
