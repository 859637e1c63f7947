import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_client.latency.expected import ExpectedLatency
from search_client.latency.objective import Aim, Goal
from search_client.search.derive import (
    NoNetworkOnTarget,
    most_likely,
    most_likely_within,
    on_target,
)
from search_client.search.reachable import (
    UnreachableLatency,
    check_reachable,
    fastest,
    nearest_to_target,
    slowest,
)
from search_client.supernet.variants import Family
from tests.unit.search_client.tiny import tiny_space

ZERO = 6
COSTS_MS = (5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0)


def _goal(*references_ms: float, combine: str = "worst") -> Goal:
    """Targets of whom the second has the costs in reverse."""
    costs = torch.tensor([COSTS_MS, COSTS_MS])
    tables = [costs, torch.cat([costs[:, :6].flip(1), costs[:, 6:]], dim=1)]
    return Goal(
        [Aim(f"target {index}", reference) for index, reference in enumerate(references_ms)],
        [[ExpectedLatency(2.0, table)] for table in tables[: len(references_ms)]],
        "weighted" if combine == "weighted" else "worst",
    )


def _family(first: list[float], second: list[float]) -> Family:
    family = Family(tiny_space())
    with torch.no_grad():
        family.supernet(0).alpha[0, :6] = torch.tensor(first)
        family.supernet(0).alpha[1] = torch.tensor(second)
    return family


def test_the_most_likely_network_is_the_argmax_of_each_block() -> None:
    family = _family([0, 0, 3, 0, 0, 0], [0, 0, 0, 0, 2, 0, 1])
    found = most_likely(family, _goal(8.0))
    assert found.choices == [2, 4]
    assert found.latency_ms == (2.0 + 1.0 + 6.0,)
    p = math.exp(3) / (math.exp(3) + 5) * math.exp(2) / (math.exp(2) + math.exp(1) + 5)
    assert found.log_probability == pytest.approx(math.log(p), abs=1e-5)
    assert found.network.operators == tiny_space().network([2, 4]).operators


def test_an_undecided_block_is_settled_by_the_latency() -> None:
    # The second block hardly prefers 7 ms to 3 ms; the reference of 6 ms settles it.
    family = _family([0, 0, 5, 0, 0, 0], [0, 0, 0, 2.99, 0, 3, 0])
    goal = _goal(6.0)
    assert most_likely(family, goal).latency_ms == (10.0,)
    found = on_target(family, goal, tolerance=0.01)
    assert found.choices == [2, 3]
    assert found.latency_ms == (6.0,)
    assert found.log_probability < most_likely(family, goal).log_probability


def test_a_latency_that_no_network_has_is_refused() -> None:
    family = _family([0.0] * 6, [0.0] * 7)
    with pytest.raises(NoNetworkOnTarget, match=r"within 1\.0% of 100 ms"):
        on_target(family, _goal(100.0), tolerance=0.01)


@pytest.mark.parametrize(("reference_ms", "latency_ms"), [(6.0, 6.0), (17.5, 16.0), (1.0, 3.0)])
def test_a_search_ends_with_a_network_also_where_none_is_on_target(
    reference_ms: float, latency_ms: float
) -> None:
    # Networks take from 3 to 16 ms; the most likely one 10 ms.
    family = _family([0, 0, 5, 0, 0, 1], [0, 0, 0, 2.99, 0, 3, 0])
    found = nearest_to_target(family, _goal(reference_ms), tolerance=0.01)
    assert found.latency_ms == (latency_ms,)


@pytest.mark.parametrize(("reference_ms", "nearest"), [(1.0, "3 ms"), (40.0, "16 ms")])
def test_an_unreachable_reference_is_refused_with_the_range_and_the_nearest(
    reference_ms: float, nearest: str
) -> None:
    family = _family([0, 0, 5, 0, 0, 1], [0, 0, 0, 2.99, 0, 3, 0])
    with pytest.raises(UnreachableLatency, match=r"from 3\.00 ms to 16\.0 ms") as refused:
        check_reachable(family, _goal(reference_ms), tolerance=0.01)
    extreme = fastest if nearest == "3 ms" else slowest
    assert extreme(family, _goal(1.0)).network.name in str(refused.value)
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("reference_ms", [3.0, 2.98, 9.5, 16.0, 16.15])
def test_a_reference_at_the_range_or_within_is_reachable(reference_ms: float) -> None:
    family = _family([0, 0, 5, 0, 0, 1], [0, 0, 0, 2.99, 0, 3, 0])
    check_reachable(family, _goal(reference_ms), tolerance=0.01)


def test_of_two_targets_the_worst_or_the_mean_is_met() -> None:
    family = _family([0, 3, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 3])
    # choice 1 costs 4 ms on the one and 6 ms on the other: 6 and 8 ms in all
    worst = on_target(family, _goal(8.0, 8.0), tolerance=0.01)
    assert worst.choices == [1, ZERO]
    assert worst.latency_ms == (6.0, 8.0)
    mean = on_target(family, _goal(7.0, 7.0, combine="weighted"), tolerance=0.01)
    assert mean.choices == [1, ZERO]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    targets=st.integers(1, 2),
    blocks=st.integers(1, 4),
    tolerance=st.sampled_from([0.02, 0.1]),
)
def test_no_network_within_the_limits_is_more_likely(
    seed: int, targets: int, blocks: int, tolerance: float
) -> None:
    rng = np.random.default_rng(seed)
    log_p = np.log(rng.dirichlet(np.ones(4), blocks))
    log_p[0, 3] = -np.inf
    # Sums lie in the middles of the grid's steps: merged partial networks cost the same.
    step = 2 * tolerance / 200
    costs = rng.integers(0, int(1 / step / blocks), (targets, blocks, 4)).astype(np.float64) * step
    fixed = (rng.integers(0, int(0.5 / step), targets).astype(np.float64) + 0.5) * step
    low, high = 1 - tolerance, 1 + tolerance

    def cost(path: Sequence[int]) -> float:
        return float((fixed + costs[:, np.arange(blocks), list(path)].sum(axis=1)).max())

    def score(path: Sequence[int]) -> float:
        return float(log_p[np.arange(blocks), list(path)].sum())

    paths = itertools.product(range(4), repeat=blocks)
    scores = [score(path) for path in paths if low <= cost(path) <= high]
    found = most_likely_within(log_p, costs, fixed, low, high)
    if max(scores, default=-math.inf) == -math.inf:
        assert found is None
    else:
        assert found is not None
        assert low <= cost(found) <= high
        assert score(found) == pytest.approx(max(scores))
