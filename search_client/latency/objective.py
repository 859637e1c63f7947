"""What a search aims at: one or several targets, each with its E[LAT] and its reference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import mul
from typing import Literal, cast

import torch
from torch import Tensor, nn

from netspec.wire import LaunchFit, LaunchQuantity
from search_client.latency.energy import EnergyTerm
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import LatencyLoss
from search_client.supernet.variants import Family

Combine = Literal["worst", "weighted"]


@dataclass(frozen=True)
class Aim:
    """One target's part of the goal."""

    target: str
    #: R, ms
    reference_ms: float
    #: of this target under `weighted`; only the ratio between targets matters
    weight: float = 1.0
    #: what the target's table predicts of launches, beside their latency
    launches: Mapping[LaunchQuantity, LaunchFit] = field(default_factory=dict)
    #: measured energies by canonical key, scaled to whole networks, mJ
    energies_mj: Mapping[str, float] = field(default_factory=dict)


class Goal(nn.Module):
    """E[LAT] on every target, and one loss of them all.

    `worst` takes the loss of the target whose E / R is greatest, `weighted` the weighted mean
    of the targets' losses.
    """

    def __init__(
        self,
        aims: Sequence[Aim],
        latencies: Sequence[Sequence[ExpectedLatency]],
        combine: Combine = "worst",
        energy: EnergyTerm | None = None,
    ) -> None:
        """Args are by target, `latencies` within by variant of the family.

        `energy` is of the first target; None: it is not in the loss.
        """
        super().__init__()
        self.energy = energy
        self.aims = tuple(aims)
        self.combine = combine
        self.latencies = nn.ModuleList(nn.ModuleList(row) for row in latencies)

    @classmethod
    def single(cls, latency: ExpectedLatency, reference_ms: float, target: str = "") -> Goal:
        """The goal of one target for a family of one variant."""
        return cls([Aim(target, reference_ms)], [[latency]])

    def expected_latency(self, target: int, variant: int) -> ExpectedLatency:
        """E[LAT] of one variant on one target, by index."""
        row = self.latencies[target]
        assert isinstance(row, nn.ModuleList)  # noqa: S101 - narrows torch's container type
        latency = row[variant]
        assert isinstance(latency, ExpectedLatency)  # noqa: S101
        return latency

    def expected_ms(self, family: Family, active: int, compared: Tensor | None = None) -> Tensor:
        """E[LAT] on each target, [targets] ms: the mean over variants of their E[LAT].

        Differentiable to beta, and to the alpha of the active variant alone: that variant was
        drawn with its probability, so its own gradient, not weighted by that probability
        again, is an unbiased estimate of the mean's.

        Args:
            family: holds the probabilities.
            active: the variant whose path an architecture step runs.
            compared: bool [blocks, most choices] of the active variant. With it E[LAT] of that
                variant is the mean over these choices alone, by their renormalised
                probabilities, as ProxylessNAS's released code has it where a step compares two.
        """
        rows = map(_modules, cast("Iterable[nn.ModuleList]", self.latencies))
        return torch.stack([_mean(row, family, active, compared) for row in rows])

    def path_ms(self, variant: int, path: Sequence[int]) -> Tensor:
        """Latency of one network on each target, [targets] ms."""
        of_targets = [self.expected_latency(target, variant) for target in range(len(self.aims))]
        return torch.stack([_of_path(latency, path) for latency in of_targets])

    def expected_mj(
        self, family: Family, active: int, compared: Tensor | None = None
    ) -> Tensor | None:
        """E[energy] on the first target, mJ (scalar); None: it is not in the loss."""
        if self.energy is None:
            return None
        return _mean(_modules(self.energy.means), family, active, compared)

    def path_mj(self, variant: int, path: Sequence[int]) -> Tensor | None:
        """Energy of one network on the first target, mJ (scalar); None: it is not in the loss."""
        if self.energy is None:
            return None
        return _of_path(_modules(self.energy.means)[variant], path)

    def aimed_at(self, references_ms: Sequence[float]) -> Goal:
        """The same targets with other references."""
        aims = [
            replace(aim, reference_ms=value)
            for aim, value in zip(self.aims, references_ms, strict=True)
        ]
        rows = [
            [self.expected_latency(target, variant) for variant in range(len(row))]
            for target, row in enumerate(cast("Iterable[nn.ModuleList]", self.latencies))
        ]
        return Goal(aims, rows, self.combine, self.energy)

    def worst(self, latency_ms: Tensor) -> int:
        """The target whose latency over its reference is greatest."""
        ratios = self._over_references(latency_ms.tolist())
        return ratios.index(max(ratios))

    def over_reference(self, latency_ms: Sequence[float]) -> float:
        """Latency over reference, of the worst target or as the weighted mean; 1 is on target."""
        ratios = self._over_references(latency_ms)
        if self.combine == "worst":
            return max(ratios)
        weights = [aim.weight for aim in self.aims]
        return math.fsum(map(mul, ratios, weights)) / math.fsum(weights)

    def _over_references(self, latency_ms: Sequence[float]) -> list[float]:
        return [value / aim.reference_ms for value, aim in zip(latency_ms, self.aims, strict=True)]

    def loss(
        self,
        form: LatencyLoss,
        cross_entropy: Tensor,
        latency_ms: Tensor,
        energy_mj: Tensor | None = None,
    ) -> Tensor:
        """The loss (scalar) of a cross-entropy, a latency on each target, and an energy.

        Args:
            form: how they join.
            cross_entropy: scalar.
            latency_ms: [targets].
            energy_mj: scalar; None: it is not in the loss.
        """
        of_latency = self._of_latency(form, cross_entropy, latency_ms)
        if self.energy is None or energy_mj is None:
            return of_latency
        return self.energy.joined(form, cross_entropy, energy_mj, of_latency)

    def _of_latency(self, form: LatencyLoss, cross_entropy: Tensor, latency_ms: Tensor) -> Tensor:
        if len(self.aims) == 1 or self.combine == "worst":
            target = self.worst(latency_ms) if len(self.aims) > 1 else 0
            return form(cross_entropy, latency_ms[target], self.aims[target].reference_ms)
        total = sum(aim.weight for aim in self.aims)
        losses = [
            form(cross_entropy, value, aim.reference_ms) * (aim.weight / total)
            for value, aim in zip(latency_ms, self.aims, strict=True)
        ]
        return torch.stack(losses).sum()


def _modules(means: nn.ModuleList) -> list[ExpectedLatency]:
    return [cast("ExpectedLatency", one) for one in means]


def _mean(
    of_variants: Sequence[ExpectedLatency], family: Family, active: int, compared: Tensor | None
) -> Tensor:
    """The mean over variants of what networks cost on average (scalar); see `Goal.expected_ms`."""
    p = family.supernet(active).probabilities(compared)
    if len(family.variants) == 1:
        mean: Tensor = of_variants[0](p)
        return mean
    costs = torch.stack(
        [one(family.supernet(variant).probabilities()) for variant, one in enumerate(of_variants)]
    )
    of_active: Tensor = of_variants[active](p)
    weighted = (family.variant_probabilities() * costs.detach()).sum()
    return weighted + of_active - of_active.detach()


def _of_path(costs: ExpectedLatency, path: Sequence[int]) -> Tensor:
    """What one network costs (scalar)."""
    one_hot = torch.zeros_like(costs.costs_ms)
    one_hot[torch.arange(len(path)), torch.tensor(path)] = 1.0
    found: Tensor = costs(one_hot)
    return found
