"""Which paths a weight step of a search trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
import torch

from netspec.costs import macs
from search_client.latency.objective import Goal
from search_client.search.candidates import Candidate, OnTarget
from search_client.supernet.binary_gates import draw_of, sample_path
from search_client.supernet.variants import Family

Sampling = Literal["probabilities", "fair", "sandwich", "on_target"]

#: random paths beside the largest and the smallest. Source: BigNAS (ECCV 2020), section 3.
SANDWICH_RANDOM = 2
#: greatest |LAT / R - 1| of paths that are trained `on_target`
TRAINED_TOLERANCE = 0.15


class PathSampler:
    """Draws the paths of a step; what it draws depends on the generator alone."""

    def __init__(self, family: Family, goal: Goal, rule: Sampling) -> None:
        self.family = family
        self.rule = rule
        self._on_target = (
            OnTarget(family, goal, TRAINED_TOLERANCE, 0) if rule == "on_target" else None
        )

    def draw(self, generator: torch.Generator) -> list[Candidate]:
        """The paths of one step; under `sandwich` the first one teaches the others."""
        if self._on_target is not None:
            seed = int(torch.randint(2**62, (), generator=generator))
            self._on_target.rng = np.random.default_rng(seed)
            return [self._on_target.draw()]
        if self.rule == "sandwich":
            drawn = [self._uniform(generator) for _ in range(SANDWICH_RANDOM)]
            return [extreme(self.family, largest=True), extreme(self.family, largest=False), *drawn]
        variant = self._variant(generator)
        if self.rule == "fair":
            return self._fair(variant, generator)
        path = sample_path(self.family.supernet(variant), generator)
        return [Candidate(variant, tuple(path))]

    def _variant(self, generator: torch.Generator) -> int:
        beta = self.family.beta
        if len(beta) == 1:
            return 0
        every = torch.ones_like(beta[None], dtype=torch.bool)
        return draw_of(beta[None], every, "full_v2", generator)[0][0]

    def _uniform(self, generator: torch.Generator) -> Candidate:
        variant = int(torch.randint(len(self.family.variants), (), generator=generator))
        return Candidate(variant, tuple(order[0] for order in self._orders(variant, generator)))

    def _fair(self, variant: int, generator: torch.Generator) -> list[Candidate]:
        """Every choice of every block in as many paths as the largest block has choices.

        Where a block has fewer, some come again. Source: FairNAS (ICCV 2021), strict fairness.
        """
        orders = self._orders(variant, generator)
        most = max(map(len, orders))
        paths = zip(
            *([order[k % len(order)] for k in range(most)] for order in orders), strict=True
        )
        return [Candidate(variant, path) for path in paths]

    def _orders(self, variant: int, generator: torch.Generator) -> Sequence[list[int]]:
        return [
            cast("list[int]", torch.randperm(block.choices, generator=generator).tolist())
            for block in self.family.variants[variant].space.blocks
        ]


def extreme(family: Family, *, largest: bool) -> Candidate:
    """The largest network of a family, or its smallest: size, width, multiplications, depth."""
    sign = 1 if largest else -1
    variants = range(len(family.variants))
    spaces = [family.variants[variant].space for variant in variants]
    variant = max(
        variants, key=lambda one: (sign * spaces[one].width, sign * spaces[one].input_size)
    )
    choices = []
    for block in spaces[variant].blocks:
        sizes = [sign * macs(candidate) for candidate in block.candidates]
        choices.append(sizes.index(max(sizes)))
        if block.skippable and not largest:
            choices[-1] = len(block.candidates)
    return Candidate(variant, tuple(choices))
