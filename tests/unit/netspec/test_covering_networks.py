from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.covering_networks import appearances, covering_networks, lower_bound
from netspec.spaces import Space, Stage, read_space, shipped_spaces


def test_the_proxylessnas_space_by_hand() -> None:
    space = Space()
    # The first block of a stage has 6 operators of its own: each is in one network at a time.
    assert lower_bound(space, 1) == 6
    assert lower_bound(space, 3) == 18
    networks = covering_networks(space, 3, seed=0)
    assert len(networks) == 18
    seen = appearances(networks)
    assert set(seen) == set(space.operators())
    first = space.blocks[0].candidates
    assert {seen[operator] for operator in first} == {3}
    # the other three blocks of a stage share 6 operators: 18 * 3 places for them
    assert {seen[operator] for operator in space.blocks[1].candidates} == {9}


stages = st.builds(
    Stage,
    channels=st.sampled_from((16, 24, 40)),
    depth=st.integers(1, 4),
    stride=st.sampled_from((1, 2)),
)
spaces = st.builds(
    Space,
    input_size=st.sampled_from((32, 64)),
    width=st.just(1.0),
    stages=st.lists(stages, min_size=1, max_size=3).map(tuple),
    kernels=st.sampled_from([(3,), (3, 5), (3, 5, 7)]),
    expands=st.sampled_from([(3,), (3, 6), (2, 4, 6)]),
)


@settings(max_examples=60, deadline=None)
@given(spaces, st.integers(1, 5), st.integers(0, 100))
def test_every_operator_is_seen_often_enough(space: Space, times: int, seed: int) -> None:
    networks = covering_networks(space, times, seed)
    assert len(networks) == lower_bound(space, times)
    seen = appearances(networks)
    assert min(seen[operator] for operator in space.operators()) >= times
    assert networks == covering_networks(space, times, seed)


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_operator_of_a_shipped_space_is_seen(name: str) -> None:
    space = read_space(name).with_values(input_size=64)
    networks = covering_networks(space, 2, seed=0)
    assert len(networks) == lower_bound(space, 2)
    seen = appearances(networks)
    assert min(seen[operator] for operator in space.operators()) >= 2


def test_no_smaller_cover_exists() -> None:
    """Every pair of networks of a small space, tried out."""
    space = Space(
        input_size=32,
        stages=(Stage(channels=24, depth=2, stride=2),),
        kernels=(3,),
        expands=(3, 4, 6),
    )
    assert lower_bound(space, 1) == 3
    everything = [
        space.network(chosen)
        for chosen in itertools.product(*(range(block.choices) for block in space.blocks))
    ]
    wanted = set(space.operators())
    for pair in itertools.combinations(everything, 2):
        assert set(appearances(list(pair))) < wanted


def test_what_is_fixed_is_seen_once_in_each_network() -> None:
    space = Space(input_size=32, kernels=(3,), expands=(3,))
    assert lower_bound(space, 4) == 4
    seen: Counter[object] = Counter(appearances(covering_networks(space, 4, seed=0)))
    assert seen[space.fixed_start[0]] == 4


def test_nothing_to_see_is_refused() -> None:
    with pytest.raises(ValueError, match="at least once"):
        covering_networks(Space(), 0, seed=0)
