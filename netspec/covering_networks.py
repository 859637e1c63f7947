"""Fewest networks of a space in which every operator is seen often enough."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from netspec.networks import Network
from netspec.operators import Operator
from netspec.spaces import Space


def lower_bound(space: Space, times: int) -> int:
    """No fewer networks can show every operator `times` times.

    A network has room for one operator in each block, so operators that occur in the same b
    blocks and no others, n of them, need at least ceil(n * times / b) networks; the fixed ones,
    once in each network, need `times`. The operators of the shipped spaces fall into such classes,
    and the classes do not share blocks; where blocks of different candidates have an operator in
    common, fewer networks might do.
    """
    needed = (math.ceil(len(found) * times / len(at)) for at, found in _classes(space))
    return max(times, *needed)


def covering_networks(space: Space, times: int, seed: int) -> list[Network]:
    """As many networks as `lower_bound` says, with every operator at least `times` times.

    Each class of operators is dealt out to its blocks in turn, the one seen least first; no
    block is skipped. Which operators meet in a network is random.

    Args:
        space: where to draw from.
        times: how often each operator is wanted, counting repeats within a network.
        seed: same seed, same networks.

    Raises:
        ValueError: `times` is not at least 1.
    """
    if times < 1:
        raise ValueError(f"every operator must be seen at least once, got {times}")
    rng = np.random.default_rng(seed)
    count = lower_bound(space, times)
    choices = np.zeros((count, len(space.blocks)), dtype=int)
    for at, distinct in _classes(space):
        # Dealing in rounds of fresh shuffles keeps the counts within one of each other.
        rounds = math.ceil(count * len(at) / len(distinct))
        dealt = np.concatenate([rng.permutation(distinct) for _ in range(rounds)])
        choices[:, at] = dealt[: count * len(at)].reshape(count, len(at))
    return [space.network(row.tolist()) for row in choices]


def appearances(networks: list[Network]) -> Counter[Operator]:
    """How often each operator is in the networks."""
    return Counter(operator for network in networks for operator in network.operators)


def _classes(space: Space) -> list[tuple[list[int], list[int]]]:
    """Blocks with the same candidates, and which of these candidates are distinct."""
    classes: dict[tuple[Operator, ...], list[int]] = {}
    for index, block in enumerate(space.blocks):
        classes.setdefault(block.candidates, []).append(index)
    return [
        (at, [index for index, one in enumerate(found) if found.index(one) == index])
        for found, at in classes.items()
    ]
