"""One architecture step: alpha moves, by the gates' gradient and by that of E[LAT]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor
from torch.optim import Adam

from search_client.data.batches import Batch
from search_client.latency.losses import LatencyLoss
from search_client.latency.objective import Goal
from search_client.supernet.binary_gates import (
    Draw,
    Gradient,
    alpha_gradients,
    draw,
    draw_of,
    gate_gradients,
    inner_product,
    keep_other_probabilities,
    reinforce_gradients,
)
from search_client.supernet.supernet import Supernet, frozen_statistics
from search_client.supernet.variants import Family
from search_client.training import distributed
from search_client.training.step import Mean, WeightConfig

#: share of the old value in REINFORCE's moving mean of the loss
BASELINE_MEMORY = 0.9


@dataclass(frozen=True)
class StepOutcome:
    """What an architecture step came to, as a mean over its batches."""

    loss: float
    cross_entropy: float
    #: fraction, of the sampled paths
    accuracy: float
    #: on each target, before the step, ms
    expected_ms: Tensor
    #: gradient of the cross-entropy to every alpha, through the gates, [choices of all supernets];
    #: of the whole loss where no gradient passes through the network
    signal: Tensor


@dataclass(frozen=True)
class _Estimate:
    """The gradient by one held-out batch; tensors by index into `Family.architecture`."""

    outcome: StepOutcome
    gradients: dict[int, Tensor]
    #: bool: of which choices a step may change the odds
    compared: dict[int, Tensor]


@dataclass(frozen=True)
class _Gates:
    """The cross-entropy of the sampled path and its gradient to the gates."""

    cross_entropy: Tensor
    #: [blocks, most choices]
    block_gradients: Tensor
    #: [variants]
    variant_gradients: Tensor
    accuracy: float


class ArchitectureSteps:
    """Moves alpha and beta of a family by Adam; weights and running statistics stay."""

    def __init__(
        self,
        family: Family,
        goal: Goal,
        form: LatencyLoss,
        gradient: Gradient,
        learning_rate: float,
        weights: WeightConfig,
    ) -> None:
        """Args as they say; of `weights` the arithmetic and the micro-batches are used."""
        self.family = family
        self.goal = goal
        self.form = form
        self.gradient = gradient
        self.weights = weights
        # Without a first moment an alpha whose gradient is zero stays where it is.
        self.optimizer = Adam(family.architecture(), lr=learning_rate, betas=(0.0, 0.999))
        #: REINFORCE's moving mean of the loss; None before the first step
        self.baseline: float | None = None

    def step(
        self, batches: Sequence[Batch], generator: torch.Generator, entropy_weight: float
    ) -> StepOutcome:
        """One step by the mean gradient of held-out batches, each on a path of its own.

        Args:
            batches: on the family's device.
            generator: draws the paths.
            entropy_weight: of the entropy in the loss, now.
        """
        family = self.family
        family.begin_training()
        before = [parameter.detach().clone() for parameter in family.architecture()]
        estimates = [self._estimate(batch, generator, entropy_weight) for batch in batches]
        for index, parameter in enumerate(family.architecture()):
            gradients = [
                estimate.gradients[index] for estimate in estimates if index in estimate.gradients
            ]
            if gradients:
                parameter.grad = torch.stack(gradients).sum(dim=0) / len(batches)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.gradient == "two":
            for index, parameter in enumerate(family.architecture()):
                compared = [
                    estimate.compared[index] for estimate in estimates if index in estimate.compared
                ]
                if compared:
                    involved = torch.stack(compared).any(dim=0)
                    rows = map(torch.atleast_2d, (parameter, before[index], involved))
                    keep_other_probabilities(*rows)
        return _mean(estimates)

    def _estimate(self, batch: Batch, generator: torch.Generator, weight: float) -> _Estimate:
        """The gradient by one batch."""
        family = self.family
        (active,), variants = draw_of(
            family.beta[None],
            torch.ones_like(family.beta[None], dtype=torch.bool),
            self.gradient,
            generator,
        )
        numbers = generator.get_state()
        drawn = draw(family.supernet(active), self.gradient, generator)
        gates = self._gates(batch, active, variants[0], drawn, numbers)
        if self.gradient == "reinforce":
            return self._reinforce(gates, active, drawn)
        return self._differentiate(gates, active, variants[0], drawn, weight)

    def _gates(
        self,
        batch: Batch,
        active: int,
        variants: Tensor,
        drawn: Draw,
        numbers: Tensor,
    ) -> _Gates:
        """Runs the drawn path; means over the batch's parts and over all processes.

        Other variants run what they draw by the same random numbers, so that two sizes are
        compared on one path.
        """
        images, labels = batch
        supernet, family = self.family.supernet(active), self.family
        others = [
            (index, self._path(index, numbers))
            for index, compared in enumerate(variants.tolist())
            if compared and index != active
        ]
        total = torch.zeros(())
        block_gradients, variant_gradients = (
            torch.zeros_like(supernet.alpha),
            torch.zeros_like(family.beta),
        )
        mean = Mean()
        count = min(self.weights.micro_batches, len(labels))
        parts = zip(images.tensor_split(count), labels.tensor_split(count), strict=True)
        for part, part_labels in parts:
            share = len(part_labels) / len(labels)
            loss, logits, blocks, logit_gradient = self._part(
                active, supernet, drawn, part, part_labels
            )
            total = total.to(loss.device) + loss.detach() * share
            block_gradients += blocks * share
            if others:
                variant_gradients[active] += inner_product(logits, logit_gradient) * share
                for index, path in others:
                    with (
                        torch.no_grad(),
                        frozen_statistics(family.supernet(index)),
                        self.weights.autocast(part.device),
                    ):
                        other = family(index, part, path)
                    variant_gradients[index] += inner_product(other, logit_gradient) * share
            mean.add(logits.detach(), part_labels, loss)
        distributed.average([total, block_gradients, variant_gradients])
        return _Gates(total, block_gradients, variant_gradients, mean.accuracy)

    def _path(self, variant: int, numbers: Tensor) -> list[int]:
        """The path that a variant draws from a generator in a given state."""
        generator = torch.Generator()
        generator.set_state(numbers)
        return draw(self.family.supernet(variant), self.gradient, generator).path

    def _part(
        self, active: int, supernet: Supernet, drawn: Draw, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cross-entropy, logits, its gradient to the blocks' gates and to the logits."""
        trained = self.gradient != "reinforce"
        with frozen_statistics(supernet):
            with torch.set_grad_enabled(trained), self.weights.autocast(images.device):
                logits, boundaries = self.family.trace(active, images, drawn.path)
                loss = self.weights.loss(logits, labels, smoothed=False)
            if not trained:
                return loss, logits, torch.zeros_like(supernet.alpha), torch.zeros_like(logits)
            *outputs, logit_gradient = torch.autograd.grad(loss, [*boundaries[1:], logits])
            with self.weights.autocast(images.device):
                blocks = gate_gradients(supernet, drawn, boundaries, outputs)
        return loss, logits.detach(), blocks, logit_gradient

    def _differentiate(
        self, gates: _Gates, active: int, variants: Tensor, drawn: Draw, entropy_weight: float
    ) -> _Estimate:
        """The gradients of alpha and beta through the gates, and through E[LAT] and entropy."""
        family, supernet = self.family, self.family.supernet(active)
        many = len(family.variants) > 1
        cross_entropy = gates.cross_entropy.detach().requires_grad_()
        compared = drawn.involved if self.gradient == "two" else None
        loss = self.goal.loss(
            self.form,
            cross_entropy,
            self.goal.expected_ms(family, active, compared),
            self.goal.expected_mj(family, active, compared),
        )
        if entropy_weight > 0:
            loss = loss + entropy_weight * family.entropy()
        inputs = [cross_entropy, supernet.alpha, *([family.beta] if many else [])]
        scale, direct, *rest = torch.autograd.grad(loss, inputs)
        through = alpha_gradients(gates.block_gradients * scale, supernet.alpha, drawn.involved)
        index = family.variants[active].supernet
        gradients = {index: torch.where(drawn.involved, through + direct, 0.0)}
        involved = {index: drawn.involved}
        if many:
            of_beta = alpha_gradients(
                gates.variant_gradients[None] * scale, family.beta[None], variants[None]
            )[0]
            # The last one of `Family.architecture`.
            gradients[len(family.supernets)] = torch.where(variants, of_beta + rest[0], 0.0)
            involved[len(family.supernets)] = variants
        with torch.no_grad():
            expected_ms = self.goal.expected_ms(family, active)
        return self._estimated(gates, loss, expected_ms, gradients, involved, {index: through})

    def _reinforce(self, gates: _Gates, active: int, drawn: Draw) -> _Estimate:
        """The gradients from the loss of the sampled network, its own latency included."""
        family, supernet = self.family, self.family.supernet(active)
        with torch.no_grad():
            path_ms = self.goal.path_ms(active, drawn.path)
            path_mj = self.goal.path_mj(active, drawn.path)
            loss = self.goal.loss(self.form, gates.cross_entropy, path_ms, path_mj)
            expected_ms = self.goal.expected_ms(family, active)
        value = loss.item()
        advantage = value - (value if self.baseline is None else self.baseline)
        memory = 0.0 if self.baseline is None else BASELINE_MEMORY
        self.baseline = memory * (self.baseline or 0.0) + (1 - memory) * value
        index = family.variants[active].supernet
        of_alpha = reinforce_gradients(supernet.alpha, supernet.exists, drawn.path, advantage)
        gradients = {index: of_alpha}
        if len(family.variants) > 1:
            every = torch.ones_like(family.beta[None], dtype=torch.bool)
            of_beta = reinforce_gradients(family.beta[None], every, [active], advantage)[0]
            gradients[len(family.supernets)] = of_beta
        return self._estimated(gates, loss, expected_ms, gradients, {}, {index: of_alpha})

    def _estimated(
        self,
        gates: _Gates,
        loss: Tensor,
        expected_ms: Tensor,
        gradients: dict[int, Tensor],
        compared: dict[int, Tensor],
        signal: dict[int, Tensor],
    ) -> _Estimate:
        *alphas, _ = self.family.architecture()
        rows = [signal.get(index, torch.zeros_like(alpha)) for index, alpha in enumerate(alphas)]
        outcome = StepOutcome(
            loss=loss.item(),
            cross_entropy=gates.cross_entropy.item(),
            accuracy=gates.accuracy,
            expected_ms=expected_ms.detach(),
            signal=torch.cat([row.flatten() for row in rows]),
        )
        return _Estimate(outcome, gradients, compared)


def _mean(estimates: Sequence[_Estimate]) -> StepOutcome:
    """What a step came to, over its batches."""
    outcomes = [estimate.outcome for estimate in estimates]
    return StepOutcome(
        loss=fmean(outcome.loss for outcome in outcomes),
        cross_entropy=fmean(outcome.cross_entropy for outcome in outcomes),
        accuracy=fmean(outcome.accuracy for outcome in outcomes),
        expected_ms=outcomes[0].expected_ms,
        signal=torch.stack([outcome.signal for outcome in outcomes]).mean(dim=0),
    )
