"""One architecture step: alpha moves, by the gates' gradient and by that of E[LAT]."""

from __future__ import annotations

from dataclasses import dataclass

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
    sample_path,
)
from search_client.supernet.supernet import Supernet, frozen_statistics
from search_client.supernet.variants import Family
from search_client.training import distributed
from search_client.training.step import Mean, WeightConfig, cross_entropy

#: share of the old value in REINFORCE's moving mean of the loss
BASELINE_MEMORY = 0.9


@dataclass(frozen=True)
class StepOutcome:
    """What an architecture step came to."""

    loss: float
    cross_entropy: float
    #: fraction, of the sampled path
    accuracy: float
    #: on each target, before the step, ms
    expected_ms: Tensor


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

    def step(self, batch: Batch, generator: torch.Generator, entropy_weight: float) -> StepOutcome:
        """One step on a held-out batch.

        Args:
            batch: on the family's device.
            generator: draws the path.
            entropy_weight: of the entropy in the loss, now.
        """
        family = self.family
        family.begin_training()
        (active,), variants = draw_of(
            family.beta[None],
            torch.ones_like(family.beta[None], dtype=torch.bool),
            self.gradient,
            generator,
        )
        supernet = family.supernet(active)
        drawn = draw(supernet, self.gradient, generator)
        gates = self._gates(batch, active, variants[0], drawn, generator)
        if self.gradient == "reinforce":
            outcome = self._reinforce(gates, active, drawn)
        else:
            outcome = self._differentiate(gates, active, variants[0], drawn, entropy_weight)
        before = supernet.alpha.detach().clone(), family.beta.detach().clone()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.gradient == "two":
            keep_other_probabilities(supernet.alpha, before[0], drawn.involved)
            if len(family.variants) > 1:
                keep_other_probabilities(family.beta[None], before[1][None], variants)
        return outcome

    def _gates(
        self,
        batch: Batch,
        active: int,
        variants: Tensor,
        drawn: Draw,
        generator: torch.Generator,
    ) -> _Gates:
        """Runs the drawn path; means over the batch's parts and over all processes."""
        images, labels = batch
        supernet, family = self.family.supernet(active), self.family
        others = [
            (index, sample_path(family.supernet(index), generator))
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

    def _part(
        self, active: int, supernet: Supernet, drawn: Draw, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cross-entropy, logits, its gradient to the blocks' gates and to the logits."""
        trained = self.gradient != "reinforce"
        with frozen_statistics(supernet):
            with torch.set_grad_enabled(trained), self.weights.autocast(images.device):
                logits, boundaries = self.family.trace(active, images, drawn.path)
                loss = cross_entropy(logits, labels)
            if not trained:
                return loss, logits, torch.zeros_like(supernet.alpha), torch.zeros_like(logits)
            *outputs, logit_gradient = torch.autograd.grad(loss, [*boundaries[1:], logits])
            with self.weights.autocast(images.device):
                blocks = gate_gradients(supernet, drawn, boundaries, outputs)
        return loss, logits.detach(), blocks, logit_gradient

    def _differentiate(
        self, gates: _Gates, active: int, variants: Tensor, drawn: Draw, entropy_weight: float
    ) -> StepOutcome:
        """Sets the gradients of alpha and beta."""
        family, supernet = self.family, self.family.supernet(active)
        many = len(family.variants) > 1
        cross_entropy = gates.cross_entropy.detach().requires_grad_()
        compared = drawn.involved if self.gradient == "two" else None
        loss = self.goal.loss(
            self.form, cross_entropy, self.goal.expected_ms(family, active, compared)
        )
        if entropy_weight > 0:
            loss = loss + entropy_weight * family.entropy()
        inputs = [cross_entropy, supernet.alpha, *([family.beta] if many else [])]
        scale, direct, *rest = torch.autograd.grad(loss, inputs)
        through = alpha_gradients(gates.block_gradients * scale, supernet.alpha, drawn.involved)
        supernet.alpha.grad = torch.where(drawn.involved, through + direct, 0.0)
        if many:
            through = alpha_gradients(
                gates.variant_gradients[None] * scale, family.beta[None], variants[None]
            )[0]
            family.beta.grad = torch.where(variants, through + rest[0], 0.0)
        with torch.no_grad():
            expected_ms = self.goal.expected_ms(family, active)
        return self._outcome(gates, loss, expected_ms)

    def _reinforce(self, gates: _Gates, active: int, drawn: Draw) -> StepOutcome:
        """Sets the gradients from the loss of the sampled network, its own latency included."""
        family, supernet = self.family, self.family.supernet(active)
        with torch.no_grad():
            path_ms = self.goal.path_ms(active, drawn.path)
            loss = self.goal.loss(self.form, gates.cross_entropy, path_ms)
            expected_ms = self.goal.expected_ms(family, active)
        value = loss.item()
        advantage = value - (value if self.baseline is None else self.baseline)
        memory = 0.0 if self.baseline is None else BASELINE_MEMORY
        self.baseline = memory * (self.baseline or 0.0) + (1 - memory) * value
        supernet.alpha.grad = reinforce_gradients(
            supernet.alpha, supernet.exists, drawn.path, advantage
        )
        if len(family.variants) > 1:
            every = torch.ones_like(family.beta[None], dtype=torch.bool)
            family.beta.grad = reinforce_gradients(family.beta[None], every, [active], advantage)[0]
        return self._outcome(gates, loss, expected_ms)

    @staticmethod
    def _outcome(gates: _Gates, loss: Tensor, expected_ms: Tensor) -> StepOutcome:
        return StepOutcome(
            loss=loss.item(),
            cross_entropy=gates.cross_entropy.item(),
            accuracy=gates.accuracy,
            expected_ms=expected_ms.detach(),
        )
