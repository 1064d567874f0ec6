"""A short campaign; the long one is ``./dev test campaign``."""

from pathlib import Path

import pytest

from gateway.core.facts import Span
from tests.campaign.converge import Campaign, lacking


@pytest.mark.integration
def test_five_peers_agree(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, 1)
    campaign.run(3_000, progress=False)
    assert campaign.counts["checkpoints"] == 3 and campaign.counts["acknowledged checks"] > 0


@pytest.mark.parametrize(
    ("known", "waiting", "first"),
    [
        (9, [], None),
        (3, [], 4),
        (5, [], 5),
        (5, [(5, 9)], None),
        # Changes of one commit are merged: what waits is cut elsewhere.
        (1, [(4, 6), (6, 12)], None),
        (1, [(4, 6), (7, 12)], 6),
        (1, [(5, 9)], 4),
    ],
)
def test_what_is_lost(known: int, waiting: list[tuple[int, int]], first: int | None) -> None:
    early = [Span(7, *one) for one in waiting] + [Span(8, 0, 99)]
    assert lacking(Span(7, 4, 9), known, early) == first
