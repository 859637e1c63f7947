"""What the gradient is compared with: random search, evolution and REINFORCE.

All three use the trained supernet's weights, and only networks on target; each may look at the
same number of held-out images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from search_client.comparison.methods import Method
from search_client.data.batches import Batch, generator_of
from search_client.latency.losses import LatencyLoss
from search_client.latency.objective import Goal
from search_client.search.architecture_step import ArchitectureSteps
from search_client.search.derive import Derived, NoNetworkOnTarget, derived
from search_client.search.reachable import nearest_to_target
from search_client.supernet.supernet import ALPHA_STD, frozen_statistics
from search_client.supernet.variants import Family
from search_client.training.step import Mean, WeightConfig, cross_entropy, device_of

Choices = tuple[int, ...]

#: draws of which those on target are kept, before random search gives up
MOST_DRAWS = 200_000
#: networks that evolution keeps as parents. Source: Once-for-all (ICLR 2020), section 4.
PARENTS = 25
#: networks of one generation
POPULATION = 50
#: probability that a child's choice is drawn anew
MUTATION = 0.1
#: tries to bring one child on target
TRIES = 200


@dataclass(frozen=True)
class Scored:
    """One network with the accuracy that the supernet's weights give it."""

    method: Method
    network: Derived
    #: fraction of the held-out images, normalised by the batch
    accuracy: float


class Scorer:
    """Top-1 of a family's networks with shared weights on fixed held-out batches."""

    def __init__(self, family: Family, batches: Sequence[Batch]) -> None:
        """The batches are looked at once for each network that is asked for."""
        self.family = family
        self.batches = batches
        #: networks looked at
        self.evaluations = 0
        self._known: dict[tuple[int, Choices], float] = {}

    @torch.no_grad()
    def accuracy(self, variant: int, choices: Choices) -> float:
        """Fraction of images right; a network that is asked for again costs nothing."""
        if (variant, choices) in self._known:
            return self._known[variant, choices]
        device = device_of(self.family)
        supernet = self.family.supernet(variant).train()
        mean = Mean()
        with frozen_statistics(supernet):
            for images, labels in self.batches:
                logits = self.family(variant, images.to(device), choices)
                given = labels.to(device)
                mean.add(logits, given, cross_entropy(logits, given))
        self.evaluations += 1
        self._known[variant, choices] = mean.accuracy
        return mean.accuracy


class OnTarget:
    """Draws networks within a tolerance of the goal."""

    def __init__(self, family: Family, goal: Goal, tolerance: float, seed: int) -> None:
        """Draws choices from the distribution nearest to uniform that meets the mean latency.

        What is off target is drawn again.
        """
        self.family = family
        self.goal = goal
        self.tolerance = tolerance
        self.rng = np.random.default_rng(seed)
        self._tables = [self._tilted(variant) for variant in range(len(family.variants))]

    def within(self, variant: int, choices: Choices) -> bool:
        """Whether a network is on target."""
        latency_ms = self.goal.path_ms(variant, choices).tolist()
        return abs(self.goal.over_reference(latency_ms) - 1) <= self.tolerance

    def draw(self) -> tuple[int, Choices]:
        """A variant and a network of it.

        Raises:
            NoNetworkOnTarget: none was found.
        """
        for _ in range(MOST_DRAWS):
            variant = int(self.rng.integers(len(self._tables)))
            choices = self.any_choices(variant)
            if self.within(variant, choices):
                return variant, choices
        raise NoNetworkOnTarget(
            f"none of {MOST_DRAWS} random networks is within {self.tolerance:.1%} of the "
            "reference; allow a greater tolerance"
        )

    def any_choices(self, variant: int) -> Choices:
        """One choice a block, on target or not."""
        p = self._tables[variant]
        race = self.rng.exponential(size=p.shape)
        return tuple(int(choice) for choice in (p / race).argmax(axis=1))

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


def random_search(
    scorer: Scorer, space: OnTarget, evaluations: int, on_network: Callable[[int], None]
) -> Scored:
    """The best of so many networks on target."""
    best: tuple[float, int, Choices] = (-1.0, 0, ())
    for done in range(evaluations):
        variant, choices = space.draw()
        best = max(best, (scorer.accuracy(variant, choices), variant, choices))
        on_network(done + 1)
    return _scored(Method.RANDOM, space, best)


def evolution(
    scorer: Scorer, space: OnTarget, evaluations: int, on_network: Callable[[int], None]
) -> Scored:
    """The best of so many networks, each after the first from the best before it.

    Half of a generation are mutations of a parent, half crossovers of two.
    Source: Once-for-all (ICLR 2020), section 4; Real et al. (2019).
    """
    first = min(POPULATION, evaluations)
    population = []
    for done in range(first):
        variant, choices = space.draw()
        population.append((scorer.accuracy(variant, choices), variant, choices))
        on_network(done + 1)
    for done in range(first, evaluations):
        parents = sorted(population, reverse=True)[:PARENTS]
        variant, choices = _child(space, [(one[1], one[2]) for one in parents], done % 2 == 0)
        population.append((scorer.accuracy(variant, choices), variant, choices))
        on_network(done + 1)
    return _scored(Method.EVOLUTION, space, max(population))


def reinforce(
    family: Family,
    goal: Goal,
    scorer: Scorer,
    *,
    form: LatencyLoss,
    learning_rate: float,
    tolerance: float,
    images: int,
    seed: int,
    on_images: Callable[[int], None],
) -> Scored:
    """A fresh alpha, moved by REINFORCE with the weights as they are; `family` stays as it is.

    Args:
        family: trained.
        goal: of the search.
        scorer: its batches are what the steps see, over and over.
        form: latency loss.
        learning_rate: of Adam, on alpha.
        tolerance: of the network that is derived.
        images: that the steps may look at.
        seed: of alpha and of the paths.
        on_images: called with the number of images looked at.
    """
    held = [parameter.detach().clone() for parameter in family.architecture()]
    generator = generator_of(seed, 1)
    try:
        with torch.no_grad():
            for parameter in family.architecture():
                fresh = torch.randn(parameter.shape, generator=generator) * ALPHA_STD
                parameter.copy_(fresh)
        steps = ArchitectureSteps(family, goal, form, "reinforce", learning_rate, WeightConfig())
        device, seen, number = device_of(family), 0, 0
        while seen < images:
            some, labels = scorer.batches[number % len(scorer.batches)]
            steps.step((some.to(device), labels.to(device)), generator, entropy_weight=0.0)
            seen, number = seen + len(labels), number + 1
            on_images(min(seen, images))
        found = nearest_to_target(family, goal, tolerance)
    finally:
        with torch.no_grad():
            for parameter, value in zip(family.architecture(), held, strict=True):
                parameter.copy_(value)
    return Scored(Method.REINFORCE, found, scorer.accuracy(found.variant, tuple(found.choices)))


def _child(
    space: OnTarget, parents: Sequence[tuple[int, Choices]], mutate: bool
) -> tuple[int, Choices]:
    """A child on target; where none is found, a fresh draw."""
    rng = space.rng
    for _ in range(TRIES):
        variant, choices = parents[int(rng.integers(len(parents)))]
        other = space.any_choices(variant)
        if not mutate:
            fitting = [one for of, one in parents if of == variant]
            other = fitting[int(rng.integers(len(fitting)))]
        taken = rng.random(len(choices)) < (MUTATION if mutate else 0.5)
        child = tuple(b if take else a for a, b, take in zip(choices, other, taken, strict=True))
        if child != choices and space.within(variant, child):
            return variant, child
    return space.draw()


def _scored(method: Method, space: OnTarget, best: tuple[float, int, Choices]) -> Scored:
    accuracy, variant, choices = best
    network = derived(space.family, space.goal, variant, list(choices), "on_target")
    return Scored(method, network, accuracy)
