"""docs/hub-api.md: its examples are run, and answered as it says."""

import json
import os
import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.api.problems import STATUS
from gateway.core.cloud_records import Greeting
from tests.support.gateway import ROOT
from tests.support.hub_api import GATEWAY, READ_ALL, SHOP, WRITE_SHOP, HubApi

PAGE = (ROOT / "docs" / "hub-api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"```sh\n(.*?)```\n```json\n(.*?)```",
    PAGE.partition("<!-- examples -->")[2].partition("<!-- end -->")[0],
    re.DOTALL,
)


def shape(value: Any) -> Any:
    """What of an example has to be so: figures and times are of their moment."""
    if isinstance(value, dict):
        kept = ("document", "store", "gateway", "status", "version")
        return {key: one if key in kept else shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return value if value is None else type(value).__name__


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_are_answered_as_the_page_says(tmp_path: Path) -> None:
    assert len(EXAMPLES) == 8
    with HubApi(tmp_path / "api") as api:
        for document in ("orders/7", "orders/a/b"):
            api.hub.put(SHOP, document, station="grill")
        with closing(api.hub.open()) as store:
            store.greet([Greeting(SHOP, GATEWAY, ["menu"])])
        known = {
            **os.environ, "HUB": f"http://127.0.0.1:{api.serving.port}", "STORE": SHOP,
            "TOKEN": READ_ALL, "WRITER": WRITE_SHOP, "NO_PROXY": "*",
        }  # fmt: skip
        got: list[Any] = []
        for command, expected in EXAMPLES:
            ended = subprocess.run(
                ["bash", "-ec", command], env=known, capture_output=True, text=True, timeout=30
            )
            assert ended.returncode == 0, ended.stderr
            got.append(json.loads(ended.stdout))
            if "changes" not in got[-1]:
                assert shape(got[-1]) == shape(json.loads(expected)), command
    assert [row["document"] for row in got[-1]["changes"]] == ["orders/7", "orders/a/b", "orders/8"]
    assert got[-1].keys() == json.loads(EXAMPLES[-1][1]).keys()


def test_the_page_has_every_code_at_its_status() -> None:
    rows = re.findall(r"^\| (\d+(?:, \d+)*) \| (.*) \|$", PAGE, re.MULTILINE)
    listed = {
        code: status
        for statuses, codes in rows
        for status in statuses.split(", ")
        for code in re.findall(r"`([a-z-]+)`", codes)
    }
    for code, status in STATUS.items():
        assert listed[code] == str(status), code
    source = "".join(path.read_text() for path in (ROOT / "gateway" / "api").glob("*.py"))
    for status, code in re.findall(r'HttpProblem\(\s*(\d+), "([a-z-]+)"', source):
        assert listed[code] == status, code
