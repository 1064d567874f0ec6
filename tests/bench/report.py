"""The result as tables: for a terminal, and as docs/benchmarks.md with its pictures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import charts
from tests.bench.stats import figure, spread
from tests.bench.targets import TARGETS, Target

PICTURES = "benchmarks"
FLOOR = "floor"
# In the room of the measure of deliveries.
DEVICES = 20

PAGE = Path(__file__).with_name("page.md")


def table(result: Mapping[str, Any]) -> str:
    """For a terminal: the targets, then every measure, every case, middle and spread."""
    lines = []
    for text, asked, median, low, high, met, _ in _judged(result):
        mark = "met" if met else "NOT MET"
        lines.append(f"{text:60} {asked:>10} {median:>8}  ({low} to {high})  {mark}")
    for found in result["scenarios"].values():
        for name, measure in found["measures"].items():
            lines.append(f"{measure['title']} ({measure['unit']})")
            for case, values in found["values"].get(name, {}).items():
                s = spread(values)
                lines.append(
                    f"    {case:28} {figure(s.median):>10}   {figure(s.low)} to {figure(s.high)}"
                )
        for case, text in {**found["failures"], **found["notes"]}.items():
            lines.append(f"    {case}: {text}")
    return "\n".join(lines) + "\n"


def joined(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Results of the same machine and versions as one; raises ``ValueError`` if they are not."""
    first = dict(results[0])
    first["scenarios"] = {}
    for result in results:
        if result["machine"] != first["machine"]:
            raise ValueError("the results are of different machines or versions")
        first["scenarios"] |= result["scenarios"]
    return first


def write(result: Mapping[str, Any], docs: Path) -> None:
    """docs/benchmarks.md and its pictures."""
    folder = docs / PICTURES
    folder.mkdir(exist_ok=True)
    for name, picture in charts.pictures(result).items():
        (folder / f"{name}.svg").write_text(picture)
    (docs / "benchmarks.md").write_text(page(result))


def page(result: Mapping[str, Any]) -> str:
    """The whole of docs/benchmarks.md."""
    targets = [
        "| what | asked | median | from, to | met | bare relay |",
        "|---|---|---|---|---|---|",
    ]
    judged = list(_judged(result))
    # What is met first, each group in the order of what was asked.
    for text, asked, median, low, high, met, floor in sorted(judged, key=lambda row: not row[5]):
        verdict = "yes" if met else "**no**"
        targets.append(f"| {text} | {asked} | {median} | {low}, {high} | {verdict} | {floor} |")
    figures: list[str] = []
    pictures = charts.pictures(result)
    for name, found in result["scenarios"].items():
        if found["values"]:
            figures += _figures(result, found)
        if name in pictures:
            figures.append(f"\n![{charts.TITLES[name]}]({PICTURES}/{name}.svg)")
    machine = ["| | |", "|---|---|"]
    machine += [f"| {name} | {value} |" for name, value in result["machine"].items()]
    return PAGE.read_text().format(
        meaning="\n".join(f"- {sentence}" for sentence in _meaning(result)),
        count=f"{sum(row[5] for row in judged)} of {len(judged)} are met.",
        targets="\n".join(targets),
        figures="\n".join(figures),
        machine="\n".join(machine),
    )


def _meaning(result: Mapping[str, Any]) -> Iterator[str]:
    """What the gateway's figures say to who runs a shop; nothing of what was not measured."""
    half, most = (_ours(result, "fan-out", f"{part}-10") for part in ("p50", "p99"))
    if half is not None and most is not None:
        yield (
            f"An order is on the screens of ten devices {_time(half)} after it came to the gateway,"
            f" and 99 of 100 orders within {_time(most)}; the Wi-Fi comes on top of it."
        )
    rate = _ours(result, "throughput", f"rate-1x{DEVICES}")
    if rate is not None:
        # Everybody's change goes to everybody else.
        each = rate / (DEVICES * (DEVICES - 1))
        yield (
            f"With {DEVICES} devices that all show the same, every one of them may make"
            f" {figure(each)} changes a second; a busy shop makes a few, of all devices together."
        )
    restart = _ours(result, "whole", "restart")
    if restart is not None:
        yield (
            f"After a crash the gateway is back with a document of 100,000 edits in"
            f" {_time(1000 * restart)}; meanwhile the devices go on by themselves."
        )


def _ours(result: Mapping[str, Any], scenario: str, measure: str) -> float | None:
    """The gateway's middle figure, if it was measured."""
    values = Target("", scenario, measure, 0).found(result["scenarios"])
    return spread(values).median if values else None


def _time(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{figure(milliseconds / 1000)} s"
    return f"{figure(milliseconds)} ms"


def _figures(result: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    cases: dict[str, None] = {}
    for values in found["values"].values():
        cases |= dict.fromkeys(values)
    cases.pop("floor", None)
    shown = [*cases, *(["floor"] if any("floor" in v for v in found["values"].values()) else [])]
    yield ""
    yield f"| | {' | '.join(_title(result, case) for case in shown)} |"
    yield "|---" * (len(shown) + 1) + "|"
    for name, measure in found["measures"].items():
        cells = []
        for case in shown:
            values = found["values"].get(name, {}).get(case)
            cells.append(_cell(values) if values else "-")
        unit = f", {measure['unit']}" if measure["unit"] else ""
        yield f"| {measure['title']}{unit} | {' | '.join(cells)} |"
    for case, text in {**found["failures"], **found["notes"]}.items():
        yield f"\n{_title(result, case)}: {text}."


def _cell(values: list[float]) -> str:
    s = spread(values)
    if s.low == s.high:
        return figure(s.median)
    return f"{figure(s.median)} ({figure(s.low)} to {figure(s.high)})"


def _title(result: Mapping[str, Any], case: str) -> str:
    return str(result["servers"].get(case, f"{int(case):,}" if case.isdigit() else case))


def _judged(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str, bool, str]]:
    for target in TARGETS:
        values = target.found(result["scenarios"])
        if values:
            s = spread(values)
            floor = target.found(result["scenarios"], FLOOR)
            yield (
                target.text, target.asked, figure(s.median), figure(s.low), figure(s.high),
                target.met(s.median), figure(spread(floor).median) if floor else "",
            )  # fmt: skip
