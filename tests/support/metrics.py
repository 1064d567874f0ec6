"""What docs/metrics.md says that there is."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `(?P<name>\w+)(?:\{(?P<label>\w+)\})?` \| (?P<kind>\w+) \|", re.MULTILINE)


def documented(section: str) -> dict[str, tuple[str, str]]:
    """Name → kind and label of each metric in a table of the page, and of every process."""
    text = PAGE.read_text(encoding="utf-8")
    found: dict[str, tuple[str, str]] = {}
    for name in (section, "process"):
        part = text.partition(f"<!-- {name} -->")[2].partition("<!-- end -->")[0]
        assert part, f"no table {name}"
        for row in _ROW.finditer(part):
            found[row["name"]] = (row["kind"], row["label"] or "")
    return found
