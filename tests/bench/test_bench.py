"""The parts of the benchmark that measure nothing: statistics, marks, tables, pictures."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Map

from tests.bench import charts, day, report
from tests.bench.__main__ import SCENARIOS
from tests.bench.bench import Run
from tests.bench.load import MARK, MARK_BYTES, mark, work
from tests.bench.processes import Cores
from tests.bench.scenarios import bluetooth
from tests.bench.scenarios.mesh import beyond
from tests.bench.stats import Spread, figure, percentile, ratios, spread
from tests.bench.targets import TARGETS, Target
from tests.bench.wire import HOCUSPOCUS, PLAIN
from tests.support.raw import frame


def result(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """A result with one measure of two servers."""
    return {
        "machine": {"processor": "one"},
        "servers": {"gateway": "Store Gateway", "y-websocket": "the <other>"},
        "scenarios": {
            "fan-out": {
                "measures": {"p50-10": {"title": "fan-out", "unit": "ms", "less": True}},
                "values": {"p50-10": {"gateway": ours, "y-websocket": theirs}},
                "failures": {},
                "notes": {"y-websocket": "was slow"},
            },
            "documents": {
                "measures": {"relay": {"title": "relay", "unit": "ms", "less": True}},
                "values": {"relay": {"100": [1.0], "1000": [1.1, 1.2]}},
                "failures": {},
                "notes": {},
            },
        },
    }


def test_middle_and_spread() -> None:
    assert spread([3, 1, 2]) == Spread(2, 1, 3)
    assert spread([4, 1, 2, 3]) == Spread(2.5, 1, 4)
    assert percentile(range(100), 0.99) == 99
    assert percentile([7], 0.99) == 7


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([1, 9, 4], [2, 9]) == [0.5, 1]
    assert ratios([1, 2], [0, 4]) == [0.5]


def test_a_target_is_judged_by_the_median_of_the_ratios() -> None:
    found = result([1, 10, 1], [4, 10, 4])["scenarios"]
    target = next(t for t in TARGETS if t.measure == "p50-10")
    assert target.found(found) == [0.25, 1, 0.25]
    assert target.met(0.65) and not target.met(0.66)
    assert Target("", "", "", 2.2, at_least=True).met(2.2)
    assert target.found({}) == []


def test_work_is_what_it_says() -> None:
    load = work(2, 3, 4)
    assert load.updates == 24
    doc: Doc = Doc()
    for bursts in load.bursts:
        for burst in bursts:
            for update in burst:
                doc.apply_update(update)
            assert len(MARK.findall(b"".join(burst))) == 1
    assert len(doc.get("lines", type=Map)) == 24
    assert len(mark(1, 2)) == MARK_BYTES and mark(1, 2) in load.bursts[1][2][3]


def test_dialects_find_the_update_in_a_message() -> None:
    assert PLAIN.update_in(b"\x00\x02\x03abc") == b"abc"
    assert PLAIN.update_in(b"\x00\x00\x01\x00") is None
    assert PLAIN.update_in(b"\x01\x01\x00") is None
    assert HOCUSPOCUS.update_in(b"\x04room\x00\x01\x03abc") == b"abc"
    assert HOCUSPOCUS.update_in(b"\x04room\x02\x02") is None
    assert HOCUSPOCUS.frames("room", b"\x00") == frame(b"\x04room\x00")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1_234_567, "1,230,000"), (1_004, "1,000"), (999, "999"), (0.12345, "0.123"), (0, "0")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_the_page_names_what_was_not_met() -> None:
    page = report.page(result([4, 4], [4, 4]))
    assert "| fan-out to 10 clients, p50 | ≤ 0.65 x | 1 | 1, 1 | **no** |  |" in page
    assert "| yes |" in report.page(result([1, 1], [4, 4]))
    assert "was slow" in page and "benchmarks/fan-out.svg" in page
    assert "NOT MET" in report.table(result([4], [4]))


def measured(**scenarios: dict[str, float]) -> dict[str, Any]:
    """A result with figures of the gateway, and others half as good, by scenario and measure."""
    made = result([1], [1])
    for name, figures in scenarios.items():
        made["scenarios"][name.replace("_", "-")] = {
            "failures": {}, "notes": {},
            "measures": {key: {"title": key, "unit": "", "less": True} for key in figures},
            "values": {
                measure: {"gateway": [value], "y-websocket": [2 * value]}
                for measure, value in figures.items()
            },
        }  # fmt: skip
    return made


def test_the_page_says_what_the_figures_mean_for_a_shop() -> None:
    page = report.page(
        measured(
            fan_out={"p50-10": 0.339, "p99-10": 1200.0},
            throughput={"rate-1x20": 38_000.0},
            whole={"restart": 0.637},
        )
    )
    meaning = page[page.index("## What it means") : page.index("## What was asked")]
    assert "ten devices 0.339 ms after it came" in meaning and "within 1.2 s;" in meaning
    assert "may make 100 changes a second" in meaning and "edits in 637 ms;" in meaning
    # What was not measured is not spoken of.
    assert "After a crash" not in report.page(result([1], [1]))
    assert "changes a second" not in report.page(result([1], [1]))


def test_what_is_met_comes_first_and_is_counted() -> None:
    page = report.page(
        measured(
            fan_out={"p50-10": 1.0, "p99-10": 1.0}, whole={"restart": 3.0}, memory={"start": 9}
        )
    )
    table = page[page.index("## What was asked") : page.index("## Figures")]
    assert "3 of 4 are met." in table
    verdicts = [line.split(" | ")[4] for line in table.splitlines() if "≤" in line]
    assert verdicts == ["yes", "yes", "yes", "**no**"]


def test_no_target_needs_the_one_before_it_to_be_understood() -> None:
    assert [target.text for target in TARGETS if target.text.startswith("the same")] == []
    assert len({target.text for target in TARGETS}) == len(TARGETS)


def test_bytes_are_counted_after_the_frames_of_the_handshake() -> None:
    long = b"\x82\x7e" + (300).to_bytes(2, "big") + bytes(300)
    passed = [
        (True, b"GET / HTTP/1.1\r\n\r\n"), (False, b"HTTP/1.1 101\r\n\r\n\x82\x02a"), (True, b"up"),
        # The second frame comes in two pieces, the last with more behind it.
        (False, b"b" + long[:9]), (True, b"up"), (False, long[9:] + b"\x82\x01c"), (True, b"after"),
        (False, b"\x82\x00"),
    ]  # fmt: skip
    assert beyond(passed, 2) == (5, 5)
    with pytest.raises(AssertionError):
        beyond(passed[:5], 2)


def test_what_takes_long_is_run_only_when_it_is_named() -> None:
    named = {name for name, one in SCENARIOS.items() if not one.unasked}
    assert named == {"long-partition", "bluetooth", "hub"}


def test_a_machine_without_the_lab_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluetooth, "missing", lambda: ["flex"])
    run = Run([], tmp_path, Cores(pin=False), True, print)
    found = bluetooth.bluetooth(run)
    assert "the lab" in found.notes["bluetooth"] and "flex" in found.notes["bluetooth"]
    assert not found.values


def test_the_day_is_the_same_each_time() -> None:
    assert day.one_document(20) == day.one_document(20)
    orders = dict(day.documents(20))
    assert orders == dict(day.documents(20)) and len(orders) == 20


def test_pictures_are_sound_xml() -> None:
    made = charts.pictures(result([1, 2, 3], [4, 5, 6]))
    assert set(made) == {"fan-out", "documents"}
    for picture in made.values():
        ET.fromstring(picture)
    assert "the &lt;other&gt;" in made["fan-out"]


def test_results_of_one_machine_can_be_joined() -> None:
    first, second = result([1], [1]), result([2], [2])
    del second["scenarios"]["documents"]
    scenarios = report.joined([first, second])["scenarios"]
    assert scenarios["fan-out"]["values"]["p50-10"]["gateway"] == [2]
    assert "documents" in scenarios
    second["machine"] = {"processor": "another"}
    with pytest.raises(ValueError, match="different"):
        report.joined([first, second])
