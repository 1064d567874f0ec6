"""The verdict finds what is wrong, and the page shows it."""

from pathlib import Path

from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.records import Change
from gateway.simulate.judge import Held, Verdict, judge, read_store
from gateway.simulate.picture import page
from gateway.simulate.plan import Order
from gateway.simulate.report import facts, sentence, text
from gateway.simulate.shop import Happened, Record, Seen
from tests.core.edits import Author

GRILL = Held(b"1" * 16, {"station": "grill"})
BAR = Held(b"2" * 16, {"station": "bar"})
ALL = {"orders/1": GRILL, "orders/2": BAR}
SETTINGS = {"kiosks": 1, "tablets": 1, "gateways": 1, "minutes": 1.0, "seed": 1}


def test_all_is_well() -> None:
    devices = {
        "grill": ('orders {"station": "grill"}', {"orders/1": GRILL}),
        "menu": ("menu", {}),
        "all": ("orders", ALL),
    }
    verdict = judge({"a": ALL, "b": ALL}, devices, [("grill", "orders/1")])
    assert verdict.well and (verdict.documents, verdict.compared) == (2, 4 + 1 + 2)


def test_what_differs_or_is_lost_is_named() -> None:
    devices = {"grill": ('orders {"station": "grill"}', {"orders/1": BAR}), "all": ("orders", {})}
    verdict = judge({"a": ALL, "b": {"orders/1": BAR}}, devices, [("grill", "orders/9")])
    assert verdict.differing == [
        "b has another orders/1",
        "b lacks orders/2",
        "grill has another orders/1",
        "all lacks orders/1",
        "all lacks orders/2",
    ]
    assert len(verdict.lost) == 2 and "orders/9, saved on grill, is not in a" in verdict.lost
    assert not verdict.well


def test_a_store_is_read(tmp_path: Path) -> None:
    author = Author(1)
    store = SqliteStore.open(tmp_path / "store")
    store.append([Change("orders/1", author.set("station", "grill", root="fields"), "x")])
    store.close()
    held = read_store(tmp_path / "store")["orders/1"]
    assert held.fields["station"] == "grill" and len(held.fingerprint) == 16


def record() -> Record:
    order = Order(1.0, 0, "orders/1", {"kiosk": "kiosk-1", "number": 1, "station": "grill"})
    return Record(
        orders={
            "orders/1": Seen(order, 1.0, 1.01, 1.02),
            "orders/2": Seen(order, 2.0, 2.01, 9.0, linked=False),
            "orders/3": Seen(order, 3.0),
        },
        happened=[Happened("gateway", "<b>lost</b>", 2.0, 6.0), Happened("cut", "x", 3.0, 3.0)],
        behind={"<i>tablet</i>": [(0.0, 0), (2.0, 3), (9.0, 0)]},
    )


def test_the_report_says_it_in_a_sentence() -> None:
    well, bad = Verdict(3, 9, [], []), Verdict(3, 9, ["all lacks orders/1"], ["orders/9"])
    found = facts(well, record(), [], SETTINGS)
    assert found["well"] and found["latency_ms"]["p50"] == 20.0
    assert found["latency_in_trouble_ms"] == {
        "count": 1, "p50": 7000.0, "p95": 7000.0, "p99": 7000.0, "max": 7000.0,
    }  # fmt: skip
    assert sentence(well, record()).startswith("Nothing was lost: all 3 orders")
    assert sentence(bad, record()) == "1 order that was called saved is lost."
    assert not facts(bad, record(), [], SETTINGS)["well"]


def test_a_day_without_orders_says_that_nothing_was_tried() -> None:
    found = {**facts(Verdict(0, 0, [], []), Record(), [], SETTINGS), "bytes": {}}
    assert not found["well"] and found["sentence"].startswith("Nothing was tried")
    shown = page(found, Record(), 3.0)
    assert 'class="well"' not in shown and 'class="bad"' not in shown


def test_the_page_escapes_what_it_is_given() -> None:
    bad = Verdict(3, 9, ["<script>all</script> lacks orders/1"], [])
    found = {**facts(bad, record(), [], SETTINGS), "bytes": {"k": {"sent": 1, "received": 20_000}}}
    shown = page(found, record(), 60.0)
    assert "<script>" not in shown and "<b>lost</b>" not in shown and "<i>tablet" not in shown
    assert 'class="bad"' in shown and "&lt;script&gt;all" in shown
    assert "http://" not in shown and "https://" not in shown
    # All text is HTML of its own size: what is drawn has none, and may be squeezed.
    assert "<text" not in shown and "viewport" in shown
    assert "all lacks orders/1" in text({**found, "differing": ["all lacks orders/1"]})


def test_the_page_says_what_its_shades_mean_and_counts_in_english() -> None:
    found = {**facts(Verdict(3, 9, [], []), record(), [], SETTINGS), "bytes": {}}
    found["happened"] = {"peer": 1, "cut": 2, "gateway": 1}
    shown = page(found, record(), 60.0)
    for words in ("device went down", "links lost", "<span>outage</span>", "3 orders behind"):
        assert words in shown, words
    assert "at most 3 seconds" in shown and "Behind by" in shown and "</i>2 orders</span>" in shown
    many = record()
    many.behind = {f"tablet-{number}": [(0.0, 1)] for number in range(50)}
    assert "10 devices are not shown" in page(found, many, 60.0)
    many.behind = {"tablet-1": [(0.0, 0)]}
    assert "No screen was behind" in page(found, many, 60.0)
