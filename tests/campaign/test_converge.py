"""A short campaign; the long one is ``./dev test campaign``."""

from pathlib import Path

import pytest

from tests.campaign.converge import Campaign


@pytest.mark.integration
def test_five_peers_agree(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, 1)
    campaign.run(3_000, progress=False)
    assert campaign.counts["checkpoints"] == 3 and campaign.counts["acknowledged checks"] > 0
