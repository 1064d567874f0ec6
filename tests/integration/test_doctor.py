"""The doctor on real networks: each cause is made, and named by its code."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gateway import ROOT, GatewayProcess, eventually
from tests.support.lan import Lan, need_namespaces
from tests.support.shop import Shop

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    need_namespaces()
    with Lan() as lan, ExitStack() as stack:
        yield Shop(lan, tmp_path, stack)


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "doctor", "--data", str(folder), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def codes(folder: Path, *more: str) -> list[str]:
    done = run(folder, "--json", *more)
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["ok"] else 1), done.stderr
    return [finding["code"] for finding in said["findings"]]


def doctor(shop: Shop, device: str, *more: str) -> list[str]:
    with shop.lan.inside(device):
        return codes(shop.folder / device, *more)


def place(shop: Shop, device: str) -> str:
    port = shop.ask(device, "status")["addresses"]["mesh"].rsplit(":", 1)[1].partition("/")[0]
    ip = shop.lan.ip(device, "-4", "-o", "address", "show", "eth0").split()[3].partition("/")[0]
    return f"{ip}:{port}"


def test_all_well_and_nothing_is_disturbed(shop: Shop) -> None:
    one, two = shop.device(), shop.device()
    shop.gateway(one)
    shop.gateway(two)
    eventually(shop.linked(one, 1))
    eventually(shop.linked(two, 1))
    began = [session["since_s"] for session in shop.ask(two, "status")["sessions"]]
    assert doctor(shop, one) == []
    assert doctor(shop, one, place(shop, two)) == []
    assert [session["since_s"] for session in shop.ask(two, "status")["sessions"]] > began


def test_multicast_that_is_not_passed_on(shop: Shop) -> None:
    one, two = shop.device(multicast=False), shop.device(multicast=False)
    shop.gateway(one)
    shop.gateway(two)
    assert doctor(shop, one) == ["nobody-answers"]
    assert doctor(shop, one, place(shop, two)) == ["multicast-blocked"]


def test_an_interface_without_multicast(shop: Shop) -> None:
    one = shop.device()
    shop.gateway(one)
    shop.lan.ip(one, "link", "set", "eth0", "multicast", "off")
    assert doctor(shop, one) == ["no-network"]


def test_another_subnet(shop: Shop) -> None:
    one, far = shop.device(), shop.device(subnet=1)
    shop.gateway(one)
    shop.gateway(far)
    shop.lan.route(open_=True)
    assert doctor(shop, one, place(shop, far)) == ["other-network"]
    shop.lan.route(open_=False)
    assert doctor(shop, one, place(shop, far))[0] == "other-network"


def test_nobody_at_the_address_and_a_closed_port(shop: Shop) -> None:
    one, two = shop.device(), shop.device()
    shop.gateway(one)
    shop.gateway(two)
    eventually(shop.linked(one, 1))
    assert doctor(shop, one, "10.77.0.99") == ["no-such-host"]
    assert doctor(shop, one, "10.77.0.2:1") == ["port-closed"]


def test_stores(shop: Shop) -> None:
    one, two = shop.device(), shop.device()
    shop.gateway(one)
    shop.gateway(two)
    eventually(shop.linked(one, 1))
    code = shop.ask(two, "claim")["recovery_code"]
    assert "not-paired" in doctor(shop, one, place(shop, two))
    assert "other-not-paired" in doctor(shop, two, place(shop, one))
    shop.ask(one, "claim")
    assert "other-store" in doctor(shop, one, place(shop, two))
    eventually(lambda: "other-store" in doctor(shop, one))

    three = shop.device()
    shop.gateway(three)
    shop.ask(three, "claim", recovery_code=code)
    eventually(lambda: shop.states(three) == ["linked", "other-store"])
    assert doctor(shop, three, place(shop, two)) == []
    assert shop.states(three) == ["linked", "other-store"]


def test_on_one_machine(tmp_path: Path) -> None:
    assert "not-running" in codes(tmp_path)
    with GatewayProcess(tmp_path / "data", "--pages", "--pages-port", "0") as gateway:
        found = codes(gateway.folder)
        assert "discovery-off" in found and "not-running" not in found
        pages = gateway.facts["pages"].removeprefix("http://").rstrip("/")
        assert "not-a-gateway" in codes(gateway.folder, pages)
    page = run(tmp_path, "127.0.0.1:1")
    assert page.returncode == 1 and "nothing listens on that port. [port-closed]" in page.stdout
    assert run(tmp_path, "http://x").returncode == 64
