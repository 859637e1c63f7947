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
    ) -> None:
        """Args are by target, `latencies` within by variant of the family."""
        super().__init__()
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
        p = family.supernet(active).probabilities(compared)
        if len(family.variants) == 1:
            return torch.stack(
                [self.expected_latency(target, 0)(p) for target in range(len(self.aims))]
            )
        q = family.variant_probabilities()
        rows = []
        for target in range(len(self.aims)):
            of_variants = torch.stack(
                [
                    self.expected_latency(target, variant)(family.supernet(variant).probabilities())
                    for variant in range(len(family.variants))
                ]
            )
            fixed = of_variants.detach()
            of_active = self.expected_latency(target, active)(p)
            rows.append((q * fixed).sum() + of_active - of_active.detach())
        return torch.stack(rows)

    def path_ms(self, variant: int, path: Sequence[int]) -> Tensor:
        """Latency of one network on each target, [targets] ms."""
        chosen = torch.tensor(path)
        rows = []
        for target in range(len(self.aims)):
            latency = self.expected_latency(target, variant)
            one_hot = torch.zeros_like(latency.costs_ms)
            one_hot[torch.arange(len(path)), chosen] = 1.0
            rows.append(latency(one_hot))
        return torch.stack(rows)

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
        return Goal(aims, rows, self.combine)

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

    def loss(self, form: LatencyLoss, cross_entropy: Tensor, latency_ms: Tensor) -> Tensor:
        """The loss (scalar) of a cross-entropy and a latency on each target [targets] ms."""
        if len(self.aims) == 1 or self.combine == "worst":
            target = self.worst(latency_ms) if len(self.aims) > 1 else 0
            return form(cross_entropy, latency_ms[target], self.aims[target].reference_ms)
        total = sum(aim.weight for aim in self.aims)
        losses = [
            form(cross_entropy, value, aim.reference_ms) * (aim.weight / total)
            for value, aim in zip(latency_ms, self.aims, strict=True)
        ]
        return torch.stack(losses).sum()
