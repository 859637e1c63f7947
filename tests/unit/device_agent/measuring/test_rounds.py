from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.measuring.rounds import interleaved_rounds

VISITS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(1, 30), max_size=12)


@settings(max_examples=60, deadline=None)
@given(visits=VISITS, seed=st.integers() | st.text(max_size=5))
def test_every_task_gets_its_visits_and_never_two_in_a_round(
    visits: dict[str, int], seed: int | str
) -> None:
    rounds = interleaved_rounds(visits, seed)
    assert len(rounds) == max(visits.values(), default=0)
    assert Counter(task for tasks in rounds for task in tasks) == visits
    assert all(len(set(tasks)) == len(tasks) for tasks in rounds)
    assert rounds == interleaved_rounds(visits, seed)


@settings(max_examples=60, deadline=None)
@given(rare=st.integers(1, 40), seed=st.integers(0, 1000))
def test_few_visits_are_spread_evenly(rare: int, seed: int) -> None:
    rounds = interleaved_rounds({"often": 40, "rare": rare}, seed)
    at = [number for number, tasks in enumerate(rounds) if "rare" in tasks]
    gaps = [after - before for before, after in pairwise(at)]
    assert all(40 // rare <= gap <= -(-40 // rare) for gap in gaps)


def test_each_round_is_a_fresh_shuffle() -> None:
    rounds = interleaved_rounds({str(task): 5 for task in range(20)}, seed=1)
    assert len({tuple(tasks) for tasks in rounds}) == 5
    assert rounds != interleaved_rounds({str(task): 5 for task in range(20)}, seed=2)


def test_nothing_to_visit_gives_no_rounds() -> None:
    assert interleaved_rounds({}, seed=0) == []
