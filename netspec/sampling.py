"""Drawing networks from a space so that they span its latencies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from netspec.networks import Network
from netspec.spaces import Space

#: networks drawn for each one kept
POOL_FACTOR = 60
#: Dirichlet concentration of a network's taste for candidates; below 1 it prefers a few
CONCENTRATION = 0.4


def stratified_networks(
    space: Space,
    values_ms: Mapping[str, float],
    count: int,
    seed: int,
    limits_ms: tuple[float, float] = (0.0, math.inf),
    further: Sequence[Space] = (),
) -> list[Network]:
    """Networks whose sums of entries are spread evenly, on a log scale.

    Blocks drawn independently would all cost about the mean. So each network draws
    its own taste for the candidates first; then the ones nearest to evenly spaced
    latencies are kept, fastest first.

    Args:
        space: where to draw from.
        values_ms: an entry (ms) for every operator of the space, by canonical key.
        count: how many networks, at least 1.
        seed: same seed, same networks.
        limits_ms: least and greatest sum of entries wanted; where the space has none
            within, the nearest are kept.
        further: spaces to draw from, too, each as often: other sizes and widths of the first.
    """
    rng = np.random.default_rng(seed)
    pool: dict[str, tuple[float, Network]] = {}
    spaces = (space, *further)
    for draw in range(POOL_FACTOR * count):
        drawn_from = spaces[draw % len(spaces)]
        network = drawn_from.network(_choices(drawn_from, rng))
        sum_ms = sum(values_ms[operator.key] for operator in network.operators)
        pool[network.content_hash] = (math.log(sum_ms), network)
    remaining = sorted(pool.values(), key=lambda item: item[0])
    fastest, slowest = math.exp(remaining[0][0]), math.exp(remaining[-1][0])
    low, high = np.log(np.clip(limits_ms, fastest, slowest))
    kept: list[tuple[float, Network]] = []
    for wished in np.linspace(low, high, min(count, len(remaining))):
        nearest = min(remaining, key=lambda item: abs(item[0] - float(wished)))
        remaining.remove(nearest)
        kept.append(nearest)
    return [network for _, network in sorted(kept, key=lambda item: item[0])]


def typical_networks(
    space: Space, values_ms: Mapping[str, float], count: int, seed: int
) -> list[Network]:
    """Networks as random as any, but spread evenly over what random networks cost.

    Every block is drawn by itself, all choices alike. The draws are put in order of their sums
    of entries and cut into `count` equal parts; each part's middle one is kept. An error
    found on them is therefore that of random networks.

    Args:
        space: where to draw from.
        values_ms: an entry (ms) for every operator of the space, by canonical key.
        count: how many networks, at least 1; fewer where the space has fewer.
        seed: same seed, same networks.

    Returns:
        Distinct networks, fastest first.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, tuple[float, Network]] = {}
    for _ in range(POOL_FACTOR * count):
        network = random_network(space, rng)
        sum_ms = sum(values_ms[operator.key] for operator in network.operators)
        drawn[network.content_hash] = (sum_ms, network)
    ordered = sorted(drawn.values(), key=lambda item: item[0])
    parts = min(count, len(ordered))
    return [ordered[(2 * part + 1) * len(ordered) // (2 * parts)][1] for part in range(parts)]


def random_network(space: Space, rng: np.random.Generator) -> Network:
    """A network whose every block is drawn by itself, all choices alike."""
    return space.network([int(rng.integers(block.choices)) for block in space.blocks])


def _choices(space: Space, rng: np.random.Generator) -> list[int]:
    most = max(block.choices for block in space.blocks)
    taste = rng.dirichlet(np.full(most, CONCENTRATION))
    chosen = []
    for block in space.blocks:
        # A taste for nothing but Zero leaves no weight in a block without it.
        weights = taste[: block.choices] + np.finfo(float).tiny
        chosen.append(int(rng.choice(block.choices, p=weights / weights.sum())))
    return chosen
