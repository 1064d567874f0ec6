"""A real gateway is scraped."""

from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from tests.support.gateway import GatewayProcess
from tests.support.store import ask

pytestmark = pytest.mark.integration


def scraped(pages: str) -> dict[str, float]:
    with urlopen(f"{pages}metrics", timeout=10) as answer:
        families = list(parsed(answer.read().decode()))
    return {one.name: one.value for family in families for one in family.samples}


def test_figures_are_those_of_the_gateway_that_runs(tmp_path: Path) -> None:
    options = ("--pages", "--pages-port", "0", "--no-discovery")
    with GatewayProcess(tmp_path / "data", *options) as gateway:
        ask(gateway.folder, "put", document="secret-name/1", content={"a": 1})
        found = scraped(gateway.facts["pages"])
        assert found["store_gateway_documents"] == 1
        assert found["store_gateway_updates_total"] == 1
        assert found["store_gateway_commits_total"] >= 1
        assert found["process_resident_memory_bytes"] > 10_000_000
        with urlopen(f"{gateway.facts['pages']}metrics", timeout=10) as answer:
            assert b"secret-name" not in answer.read()
