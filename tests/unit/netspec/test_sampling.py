import itertools
import math

import numpy as np
import pytest

from netspec.networks import Network
from netspec.operators import MBConv, Operator
from netspec.sampling import random_network, stratified_networks, typical_networks
from netspec.spaces import Space, Stage

#: three blocks of 6, 7 and 6 choices: 252 networks
SMALL = Space(
    input_size=32,
    width=0.25,
    classes=10,
    stages=(Stage(channels=24, depth=2, stride=2), Stage(channels=40, depth=1, stride=2)),
)


def cost_ms(operator: Operator) -> float:
    if isinstance(operator, MBConv):
        return operator.kernel**2 * operator.expand * operator.in_channels / 1_000
    return 0.01


def values_ms(space: Space) -> dict[str, float]:
    return {operator.key: cost_ms(operator) for operator in space.operators()}


def sum_ms(network: Network) -> float:
    return sum(cost_ms(operator) for operator in network.operators)


def every_sum_ms(space: Space) -> list[float]:
    choices = itertools.product(*(range(block.choices) for block in space.blocks))
    return sorted(sum_ms(space.network(chosen)) for chosen in choices)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_networks_span_the_space_evenly_on_a_log_scale(seed: int) -> None:
    space = Space()
    sums = [sum_ms(network) for network in stratified_networks(space, values_ms(space), 5, seed)]
    assert sums == sorted(sums)
    # Independent choices would lie within some 20 % of the mean.
    assert sums[-1] > 4 * sums[0]
    even = (math.log(sums[-1]) - math.log(sums[0])) / 4
    assert np.diff(np.log(sums)) == pytest.approx([even] * 4, rel=0.25)


def test_same_seed_same_networks() -> None:
    values = values_ms(SMALL)
    first, again, other = (stratified_networks(SMALL, values, 4, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_networks_lie_within_the_limits_and_reach_them() -> None:
    space, limits = Space(), (100.0, 200.0)
    sums = [
        sum_ms(network) for network in stratified_networks(space, values_ms(space), 4, 0, limits)
    ]
    assert sums[0] == pytest.approx(100, rel=0.03)
    assert sums[-1] == pytest.approx(200, rel=0.03)


@pytest.mark.parametrize(
    ("limits_ms", "expected"),
    [((0.0, 1e-6), slice(None, 3)), ((1e6, 2e6), slice(-3, None))],
    ids=["below all", "above all"],
)
def test_where_the_space_has_none_within_the_nearest_are_kept(
    limits_ms: tuple[float, float], expected: slice
) -> None:
    space = Space(input_size=16, width=0.25, stages=(Stage(channels=24, depth=1, stride=2),))
    kept = stratified_networks(space, values_ms(space), 3, 0, limits_ms)
    assert [sum_ms(network) for network in kept] == every_sum_ms(space)[expected]


def test_a_space_with_fewer_networks_gives_them_all_once() -> None:
    space = Space(
        input_size=16,
        width=0.25,
        kernels=(3,),
        expands=(3, 6),
        stages=(Stage(channels=24, depth=1, stride=2),),
    )
    kept = stratified_networks(space, values_ms(space), 5, 0)
    assert [network.operators for network in kept] == [
        space.network([0]).operators,
        space.network([1]).operators,
    ]


def test_typical_networks_cost_what_random_ones_do() -> None:
    space, values = Space(), values_ms(Space())
    typical = [sum_ms(network) for network in typical_networks(space, values, 9, seed=3)]
    rng = np.random.default_rng(11)
    random = [sum_ms(random_network(space, rng)) for _ in range(400)]
    assert typical == sorted(typical)
    expected = np.percentile(random, (100 * (2 * np.arange(9) + 1)) / 18)
    assert typical == pytest.approx(expected, rel=0.06)


def test_typical_networks_are_distinct_and_repeat() -> None:
    values = values_ms(SMALL)
    kept = typical_networks(SMALL, values, 20, seed=1)
    assert len({network.content_hash for network in kept}) == 20
    assert kept == typical_networks(SMALL, values, 20, seed=1)
    assert kept != typical_networks(SMALL, values, 20, seed=2)


def test_a_small_space_has_no_more_networks_than_it_has() -> None:
    tiny = Space(
        input_size=32,
        width=0.25,
        classes=10,
        stages=(Stage(channels=24, depth=1, stride=2),),
        kernels=(3,),
    )
    assert len(typical_networks(tiny, values_ms(tiny), 5, seed=0)) == 2
