"""Metrics: what is written is what Prometheus's own parser reads."""

from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.parser import text_string_to_metric_families as parsed

from gateway.core.metrics import (
    GAUGE,
    Metric,
    Process,
    counter,
    exposition,
    gauge,
    one_of,
    process_metrics,
)


def test_the_form() -> None:
    text = exposition([
        gauge("a_bytes", "All of it.", 12),
        counter("b_total", "Seconds.", 0.25),
        one_of("c", "What.", "state", "ok"),
    ])  # fmt: skip
    assert text == (
        "# HELP a_bytes All of it.\n# TYPE a_bytes gauge\na_bytes 12\n"
        "# HELP b_total Seconds.\n# TYPE b_total counter\nb_total 0.25\n"
        '# HELP c What.\n# TYPE c gauge\nc{state="ok"} 1\n'
    )


@given(some.dictionaries(some.text(), some.floats(allow_nan=False)), some.text())
def test_whatever_is_written_is_read_again(values: dict[str, float], help_: str) -> None:
    # No surrogate can be sent, and a return alone ends no line.
    values = {key.replace("\r", ""): value for key, value in values.items() if key.isprintable()}
    help_ = " ".join(help_.split()) if help_.isprintable() else "\\ and\nmore"
    (family,) = parsed(exposition([Metric("a", GAUGE, help_, values, "label")]))
    assert {one.labels["label"]: one.value for one in family.samples} == values
    assert family.type == "gauge" and family.documentation.split() == help_.split()


def test_what_would_break_a_line_is_escaped() -> None:
    nasty = 'a"b\\n\\\nc} 7'
    (family,) = parsed(exposition([Metric("a", GAUGE, "x\ny\\", {nasty: 1}, "label")]))
    assert [one.labels["label"] for one in family.samples] == [nasty]
    assert family.documentation == "x\ny\\"


def test_numbers_are_whole_where_they_are_and_what_is_none_is_said() -> None:
    values = {"a": 3.0, "b": 1e300, "c": float("inf"), "d": True, "e": 0.1}
    (family,) = parsed(exposition([Metric("a", GAUGE, "A.", values, "label")]))
    assert {one.labels["label"]: one.value for one in family.samples} == values
    assert 'a{label="a"} 3\n' in exposition([Metric("a", GAUGE, "A.", values, "label")])


def test_a_process() -> None:
    text = exposition(process_metrics(Process(1.5, 2_048, 7)))
    assert {one.name: one.samples[0].value for one in parsed(text)} == {
        "process_cpu_seconds": 1.5, "process_resident_memory_bytes": 2_048, "process_open_fds": 7,
    }  # fmt: skip
