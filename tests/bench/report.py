"""The result as tables."""

from pathlib import Path
from typing import Any

from tests.bench.stats import spread


def table(result: dict[str, Any]) -> str:
    """For a terminal: every measure, every case, median and spread of the rounds."""
    lines = []
    for found in result["scenarios"].values():
        for name, measure in found["measures"].items():
            lines.append(f"{measure['title']} ({measure['unit']})")
            for case, values in found["values"].get(name, {}).items():
                s = spread(values)
                lines.append(
                    f"    {case:28} {figure(s.median):>10}   {figure(s.low)} to {figure(s.high)}"
                )
        for case, text in found["failures"].items():
            lines.append(f"    {case} failed: {text}")
    return "\n".join(lines) + "\n"


def figure(value: float) -> str:
    """Three digits that count."""
    if value >= 1_000:
        digits = len(str(int(value))) - 3
        return f"{round(value / 10**digits) * 10**digits:,}"
    if value == 0:
        return "0"
    return f"{value:.3g}" if value >= 100 else f"{value:#.3g}".rstrip("0").rstrip(".")


def write(result: dict[str, Any], docs: Path) -> None:
    """docs/benchmarks.md and its pictures."""
    (docs / "benchmarks.md").write_text(table(result))
