"""Networks that a search may end with: on target, and within the limits that it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netspec.networks import Network
from search_client.latency.objective import Goal
from search_client.search.derive import NoNetworkOnTarget
from search_client.search.limits import Limits
from search_client.supernet.variants import Family

Choices = tuple[int, ...]

#: draws of which those on target are kept, before drawing gives up
MOST_DRAWS = 200_000
#: probability that a child's choice is drawn anew
MUTATION = 0.1
#: tries to bring one child on target
TRIES = 200


class Candidate(NamedTuple):
    """One network of a family: a variant, and one choice a block."""

    variant: int
    choices: Choices


def candidate_of(family: Family, network: Network) -> Candidate | None:
    """The choices that make a network, whatever its precision; None where none do.

    Where one of several alike blocks is skipped, it is taken to be the last.
    """
    for index, variant in enumerate(family.variants):
        space = variant.space
        remaining = list(network.with_precision(space.precision).operators)
        del remaining[: len(space.fixed_start)]
        choices = []
        for block in space.blocks:
            if remaining and remaining[0] in block.candidates:
                choices.append(block.candidates.index(remaining.pop(0)))
            elif block.skippable:
                choices.append(len(block.candidates))
            else:
                break
        else:
            made = family.network(index, choices)
            if made.content_hash == network.with_precision(space.precision).content_hash:
                return Candidate(index, tuple(choices))
    return None


class OnTarget:
    """Draws networks within a tolerance of the goal, and within limits."""

    def __init__(
        self,
        family: Family,
        goal: Goal,
        tolerance: float,
        seed: int,
        limits: Limits | None = None,
    ) -> None:
        """Draws choices from the distribution nearest to uniform that meets the mean latency.

        What is off target is drawn again.

        Raises:
            UserError: a limit is on what a target's table does not predict.
        """
        self.family = family
        self.goal = goal
        self.tolerance = tolerance
        self.limits = limits or Limits()
        self.limits.check(goal.aims)
        self.rng = np.random.default_rng(seed)
        self._tables = [self._tilted(variant) for variant in range(len(family.variants))]

    def within(self, candidate: Candidate) -> bool:
        """Whether a network is on target and within the limits."""
        amounts = self._amounts(candidate)
        return amounts is not None and self.limits.allow(amounts)

    def draw(self) -> Candidate:
        """A network, variants alike.

        Raises:
            NoNetworkOnTarget: none was found; where some were on target, the message says how near
                they come to the limits.
        """
        least: dict[str, float] = {}
        for _ in range(MOST_DRAWS):
            variant = int(self.rng.integers(len(self._tables)))
            candidate = Candidate(variant, self.any_choices(variant))
            amounts = self._amounts(candidate)
            if amounts is None:
                continue
            if self.limits.allow(amounts):
                return candidate
            least = {name: min(least.get(name, one), one) for name, one in amounts.items()}
        said = (
            f"none of {MOST_DRAWS} random networks is within {self.tolerance:.1%} of the reference"
        )
        if least:
            raise NoNetworkOnTarget(
                f"{said} and within search.limits; those on target have at least, each by itself, "
                f"{self.limits.compared(least)}; allow greater limits or another latency"
            )
        raise NoNetworkOnTarget(f"{said}; allow a greater tolerance")

    def _amounts(self, candidate: Candidate) -> dict[str, float] | None:
        """What a network has of all that is limited; None where it is not on target."""
        latency_ms = self.goal.path_ms(*candidate).tolist()
        if abs(self.goal.over_reference(latency_ms) - 1) > self.tolerance:
            return None
        if not self.limits.given:
            return {}
        network = self.family.network(*candidate)
        return self.limits.amounts(network, self.goal.aims, latency_ms)

    def any_choices(self, variant: int) -> Choices:
        """One choice a block, on target or not."""
        p = self._tables[variant]
        race = self.rng.exponential(size=p.shape)
        return tuple(int(choice) for choice in (p / race).argmax(axis=1))

    def mutant(self, parent: Candidate) -> Candidate:
        """Some choices of a parent drawn anew."""
        drawn = self.any_choices(parent.variant)
        return self._mixed(parent, lambda: drawn, MUTATION)

    def crossed(self, parent: Candidate, other: Candidate) -> Candidate:
        """Each choice from one of two parents of one variant."""
        return self._mixed(parent, lambda: other.choices, 0.5)

    def _mixed(self, parent: Candidate, other: Callable[[], Choices], share: float) -> Candidate:
        taken = self.rng.random(len(parent.choices)) < share
        pairs = zip(parent.choices, other(), taken, strict=True)
        return Candidate(parent.variant, tuple(b if take else a for a, b, take in pairs))

    def child(self, parents: list[Candidate]) -> Candidate:
        """On target: half mutations, half crossovers; where none is found, a fresh draw.

        Source: Once-for-all (ICLR 2020), section 4; Real et al. (2019).
        """
        for attempt in range(TRIES):
            parent = parents[int(self.rng.integers(len(parents)))]
            child = self.mutant(parent)
            if attempt % 2:
                fitting = [
                    candidate for candidate in parents if candidate.variant == parent.variant
                ]
                child = self.crossed(parent, fitting[int(self.rng.integers(len(fitting)))])
            if child != parent and self.within(child):
                return child
        return self.draw()

    def _tilted(self, variant: int) -> npt.NDArray[np.float64]:
        """p_i ~ exp(-t F_i) with the t at which the mean latency is the reference."""
        latency = self.goal.expected_latency(0, variant)
        costs = latency.costs_ms.double().cpu().numpy() * latency.scale
        fixed = latency.fixed_ms * latency.scale + latency.intercept_ms
        exists = self.family.supernet(variant).exists.cpu().numpy()
        unit = max(float(costs.max()), 1e-12)

        def tilted(t: float) -> npt.NDArray[np.float64]:
            logits = np.where(exists, -t * costs / unit, -np.inf)
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            return np.asarray(p / p.sum(axis=1, keepdims=True))

        low, high = -200.0, 200.0
        for _ in range(60):
            middle = (low + high) / 2
            slow = fixed + float((tilted(middle) * costs).sum()) > self.goal.aims[0].reference_ms
            low, high = (middle, high) if slow else (low, middle)
        return tilted(low)
