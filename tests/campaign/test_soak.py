"""The short form of the soak: the load runs, the vitals are read, and growth is noticed."""

import os
from pathlib import Path

import pytest

from tests.campaign.soak import RATE, Report, Soak
from tests.campaign.vitals import look, slope
from tests.support.gateway import GatewayProcess

MEGABYTES = 64


def test_the_slope_is_that_of_most_points_whatever_the_others_are() -> None:
    points = [(float(n), 2.0 * n) for n in range(50)]
    points[7], points[30] = (7.0, 500.0), (30.0, -500.0)
    assert slope(points) == pytest.approx(2.0)
    assert slope([(0.0, 1.0), (1.0, 1.0), (2.0, 9.0)]) == pytest.approx(4.0)


def test_vitals_see_memory_and_descriptors_that_are_taken() -> None:
    before = look(os.getpid(), 0.0)
    taken = bytearray(os.urandom(MEGABYTES << 20))
    with Path("/dev/null").open() as file:
        after = look(os.getpid(), 1.0)
        assert not file.closed
    assert after.descriptors == before.descriptors + 1
    for name in ("rss", "pss", "uss", "anonymous"):
        assert getattr(after, name) - getattr(before, name) > len(taken) * 0.9


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"slopes": {"rss": 0.3}}, "RSS grows"),
        ({"descriptors": (40, 41)}, "descriptors"),
        ({"descriptors_alone": (20, 22)}, "descriptors_alone"),
        ({"threads": (2, 3)}, "threads"),
        ({"amplification_busy": 9.0}, "busy"),
        ({"idle_mb_a_day": 6.0}, "nothing to do"),
    ],
)
def test_each_figure_is_judged(change: dict[str, object], word: str) -> None:
    sound = Report(1, slopes={"rss": 0.1})
    sound.judge()
    assert not sound.wrong
    report = Report(1, slopes=sound.slopes)
    for name, value in change.items():
        setattr(report, name, value)
    report.judge()
    assert len(report.wrong) == 1 and word in report.wrong[0]


@pytest.mark.integration
def test_a_short_soak_leaves_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    looks: list[float] = []
    with GatewayProcess(tmp_path / "data") as gateway:
        soak = Soak(gateway, 1, lambda vitals, shop: looks.append(vitals.seconds))
        soak.run(minutes=0.1, rate=5 * RATE, busy_seconds=1.0, idle_seconds=1.0)
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log()
    report = soak.report
    assert report.descriptors[0] == report.descriptors[1] > report.clients
    assert report.descriptors_alone[0] == report.descriptors_alone[1]
    assert report.threads[0] == report.threads[1]
    assert report.orders >= 25 and report.swaps >= 1 and len(looks) == 2
