"""Hostile bytes end no process; genuine ones pass."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from gateway.core.document import Document
from gateway.core.errors import PeerError
from gateway.core.guard import inspect_state_vector, inspect_update
from tests.fuzz.fuzz import Case, Verdict, Worker, accepted, campaign, sentence
from tests.fuzz.mutate import bit_flips, mutant, truncations
from tests.fuzz.seeds import History, histories, malformed, parsed, written_by_pycrdt

GENUINE = 12_000
MAKE_GOLDEN = Path(__file__).with_name("make_golden.mjs")
HISTORIES = histories()

# Cases of the corpus that nothing but their bytes gives away.
STATE_VECTORS = ("hand-sv_2^31_5B", "hand-sv_max_u32", "hand-sv_varint_overlong")


@pytest.mark.timing
def test_mutants_kill_nobody() -> None:
    verdict = campaign(5_000, seed=20_261)
    assert verdict.good, sentence(verdict)
    assert verdict.outcomes["integrated"] > 500 and verdict.refused > 2_000


def test_the_corpus_kills_nobody() -> None:
    verdict = Verdict()
    with Worker() as worker:
        worker.run(accepted(map(Case.of, malformed()), verdict), verdict)
    assert verdict.mutants == len(malformed())
    assert verdict.good, sentence(verdict)


def test_a_death_is_noticed_and_the_others_go_on() -> None:
    """The worker dies of what the guard would have refused; that it is seen proves the rest."""
    update = HISTORIES[0].updates[0]
    good = Case(update, (), base=b"")
    fatal = Case(b"", (), base=b"\x01\x01\xff")
    verdict = Verdict()
    with Worker() as worker:
        worker.run([good, fatal, good], verdict)
    assert verdict.outcomes["integrated"] == 2 and len(verdict.deaths) == 1
    assert not verdict.good


@pytest.mark.parametrize("name", STATE_VECTORS)
def test_state_vectors_of_the_corpus_are_refused(name: str) -> None:
    known = next(case for case in malformed() if case.name == name)
    with pytest.raises(PeerError):
        inspect_state_vector(known.update)


def test_every_beginning_of_genuine_updates_is_refused() -> None:
    for history in HISTORIES:
        for cut in truncations(history.updates[0]):
            with pytest.raises(PeerError):
                inspect_update(cut)


def test_single_bit_flips_never_escape() -> None:
    verdict = Verdict()
    for history in HISTORIES[:20]:
        accepted((Case(one, ()) for one in bit_flips(history.updates[0])), verdict)
    assert not verdict.escaped
    assert verdict.refused < verdict.mutants


def test_mutants_depend_on_the_seed_alone() -> None:
    update = HISTORIES[0].updates[0]
    made = [mutant(random.Random(5), update, update) for _ in range(2)]
    assert made[0] == made[1] != update


def test_genuine_updates_pass_and_apply() -> None:
    assert sum(map(passes, HISTORIES)) > 500


@pytest.mark.timing
def test_twelve_thousand_genuine_updates_pass() -> None:
    """Half of them made by Yjs just now, half by pycrdt."""
    made = subprocess.run(
        ["node", str(MAKE_GOLDEN), "--seed", "7", "--histories", "170", "--steps", "40"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    by_yjs = sum(map(passes, parsed(made.stdout)))
    assert by_yjs >= GENUINE / 2
    by_pycrdt, seed = 0, 0
    while by_pycrdt < GENUINE - by_yjs:
        by_pycrdt += passes(written_by_pycrdt(1_000 + seed, steps=40))
        seed += 1


def test_golden_updates_are_those_of_the_script() -> None:
    made = subprocess.run(["node", str(MAKE_GOLDEN)], capture_output=True, text=True, check=True)
    golden = MAKE_GOLDEN.with_name("corpus") / "golden.json"
    assert json.loads(made.stdout) == json.loads(golden.read_text())


def passes(history: History) -> int:
    """Take a whole history; how many updates that were."""
    document = Document(history.name)
    genuine = (*history.updates, *history.others)
    for update in genuine:
        document.apply([(update, inspect_update(update))])
    assert not document.early
    return len(genuine)
