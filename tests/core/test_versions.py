"""Versions of apps: how many run one, and since when nobody does."""

from gateway.core.versions import MAX_VERSIONS, Versions


def test_counts_and_since_when_one_is_gone() -> None:
    versions = Versions()
    kiosk = {"app": "kiosk\0", "schema": "2"}
    versions.note([kiosk, {"app": "kds", "schema": "1"}, kiosk, {"name": "no app"}], 10.0)
    versions.note([kiosk], 15.0)
    assert versions.listed(20.04) == [
        {"app": "kiosk\ufffd", "app-version": "", "schema": "2", "peers": 1, "seen_s": 5.0},
        {"app": "kds", "app-version": "", "schema": "1", "peers": 0, "seen_s": 10.0},
    ]


def test_bounded() -> None:
    versions = Versions()
    versions.note([{"app": "old"}], 0.0)
    versions.note([{"app": f"a{n}"} for n in range(MAX_VERSIONS + 5)] + [{"app": "a204"}], 1.0)
    listed = versions.listed(1.0)
    assert len(listed) == MAX_VERSIONS and listed[0]["app"] == "a204"
    assert "old" not in {row["app"] for row in listed}
