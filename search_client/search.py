"""The search: warm-up of the weights, then weights and architecture in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional
from torch.optim import SGD, Adam

from netspec.networks import Network
from search_client.expected_latency import ExpectedLatency
from search_client.gates import (
    Gradient,
    alpha_gradients,
    draw,
    gate_gradients,
    keep_other_probabilities,
    sample_path,
)
from search_client.history import ArchitectureStep, History, Phase, SearchEpoch, SearchStep
from search_client.losses import LatencyLoss, LogRatio
from search_client.schedules import cosine, set_learning_rate
from search_client.steps import Batch, Batches, Mean, WeightConfig, device_of, weight_step
from search_client.supernet import Supernet, frozen_statistics


class SearchConfig(WeightConfig):
    """How a space is searched. Defaults: ProxylessNAS on ImageNet, at batches of 256."""

    latency_loss: LatencyLoss = LogRatio()
    gradient: Gradient = "two"
    warmup_epochs: int = Field(default=40, ge=0, description="of weight steps alone")
    warmup_learning_rate: float = Field(default=0.05, gt=0, description="falls by a cosine to 0")
    joint_epochs: int = Field(default=120, ge=1, description="the first has weight steps alone")
    joint_learning_rate: float = Field(default=0.025, gt=0, description="falls by a cosine to 0")
    weight_steps_per_architecture_step: int = Field(default=5, ge=1)
    architecture_learning_rate: float = Field(default=1e-3, gt=0, description="Adam's, constant")
    entropy_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight that the entropy of the choices has in the loss at the end; it rises "
        "from 0 over the joint phase, so that a short search decides, too; ProxylessNAS has none",
    )
    seed: int = Field(default=0, ge=0, description="of the paths that are drawn")


@dataclass(frozen=True)
class SearchResult:
    """Where a search ended."""

    #: of the most likely choice in every block
    network: Network
    #: one a block, as in `Space.network`
    choices: list[int]
    #: E[LAT] of the final probabilities
    expected_ms: float
    history: History


def search(
    supernet: Supernet,
    expected_latency: ExpectedLatency,
    training: Batches,
    held_out: Batches,
    config: SearchConfig,
    reference_ms: float,
    on_step: Callable[[SearchStep], None],
) -> SearchResult:
    """Search a space: warm-up, then the joint phase, then the most likely choices.

    Args:
        supernet: trained in place, on its own device.
        expected_latency: of the supernet's space, on the same device.
        training: for the weight steps; one iteration an epoch.
        held_out: for the architecture steps; apart from `training`, not augmented, shuffled.
        config: how.
        reference_ms: R of the latency loss.
        on_step: called after every weight step.

    Raises:
        UserError: the latency loss does not exist for the space's latencies.
    """
    run = _Search(supernet, expected_latency, held_out, config, reference_ms, on_step)
    run.check_loss()
    run.phase("warm-up", training, config.warmup_epochs, config.warmup_learning_rate)
    run.phase("joint", training, config.joint_epochs, config.joint_learning_rate)
    choices = supernet.most_likely()
    return SearchResult(
        network=supernet.space.network(choices),
        choices=choices,
        expected_ms=run.expected_ms(),
        history=run.history,
    )


class _Search:
    def __init__(
        self,
        supernet: Supernet,
        expected_latency: ExpectedLatency,
        held_out: Batches,
        config: SearchConfig,
        reference_ms: float,
        on_step: Callable[[SearchStep], None],
    ) -> None:
        self.supernet = supernet
        self.expected_latency = expected_latency
        self.config = config
        self.reference_ms = reference_ms
        self.on_step = on_step
        self.device = device_of(supernet)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.held_out = _endless(held_out)
        # Without a first moment an alpha whose gradient is zero stays where it is.
        self.architecture_optimizer = Adam(
            [supernet.alpha], lr=config.architecture_learning_rate, betas=(0.0, 0.999)
        )
        self.weight_steps = 0
        self.history = History()

    def check_loss(self) -> None:
        loss = self.config.latency_loss
        if isinstance(loss, LogRatio):
            costs = self.expected_latency.costs_ms.masked_fill(~self.supernet.exists, torch.inf)
            fastest = functional.one_hot(costs.argmin(dim=1), costs.shape[1])
            loss.check(self.expected_latency(fastest).item(), self.reference_ms)

    @torch.no_grad()
    def expected_ms(self) -> float:
        return float(self.expected_latency(self.supernet.probabilities()))

    def phase(self, phase: Phase, training: Batches, epochs: int, peak: float) -> None:
        """Run all epochs of a phase under a cosine of its own."""
        optimizer = self.config.optimizer(self.supernet.weights())
        total = epochs * len(training)
        for epoch in range(epochs):
            mean = Mean()
            for step, batch in enumerate(training, start=epoch * len(training)):
                set_learning_rate(optimizer, cosine(step, total, peak))
                self._weight_step(batch, optimizer, mean)
                every = self.config.weight_steps_per_architecture_step
                if phase == "joint" and epoch > 0 and (step + 1) % every == 0:
                    self._architecture_step((step + 1) / total)
                self.on_step(
                    SearchStep(phase, step + 1, total, mean.loss, mean.accuracy, self.expected_ms())
                )
            self._record_epoch(phase, mean)

    def _weight_step(self, batch: Batch, optimizer: SGD, mean: Mean) -> None:
        self.supernet.train()
        path = sample_path(self.supernet, self.generator)
        weight_step(
            partial(self.supernet, path=path),
            self._moved(batch),
            optimizer,
            self.config.label_smoothing,
            mean,
        )
        self.weight_steps += 1

    def _architecture_step(self, progress: float) -> None:
        """Move alpha once; `progress` is the share of the joint phase that is done."""
        supernet, config = self.supernet, self.config
        images, labels = self._moved(next(self.held_out))
        drawn = draw(supernet, config.gradient, self.generator)
        with frozen_statistics(supernet):
            logits, boundaries = supernet.trace(images, drawn.path)
            cross_entropy = functional.cross_entropy(logits, labels)
            expected_ms = self.expected_latency(supernet.probabilities())
            loss = config.latency_loss(cross_entropy, expected_ms, self.reference_ms)
            loss = loss + progress * config.entropy_weight * supernet.entropy()
            direct, *of_outputs = torch.autograd.grad(loss, [supernet.alpha, *boundaries[1:]])
            of_gates = gate_gradients(supernet, drawn, boundaries, of_outputs)
        through_gates = alpha_gradients(of_gates, supernet.alpha, drawn.involved)
        before = supernet.alpha.detach().clone()
        supernet.alpha.grad = torch.where(drawn.involved, through_gates + direct, 0.0)
        self.architecture_optimizer.step()
        supernet.alpha.grad = None
        if config.gradient == "two":
            keep_other_probabilities(supernet.alpha, before, drawn.involved)
        mean = Mean()
        mean.add(logits, labels, cross_entropy)
        self.history.architecture_steps.append(
            ArchitectureStep(
                self.weight_steps, loss.item(), mean.loss, mean.accuracy, expected_ms.item()
            )
        )

    @torch.no_grad()
    def _record_epoch(self, phase: Phase, mean: Mean) -> None:
        p = self.supernet.probabilities()
        blocks = self.supernet.space.blocks
        self.history.epochs.append(
            SearchEpoch(
                phase=phase,
                weight_steps=self.weight_steps,
                loss=mean.loss,
                accuracy=mean.accuracy,
                expected_ms=self.expected_ms(),
                entropy=self.supernet.entropy().item(),
                probabilities=[
                    row[: block.choices] for row, block in zip(p.tolist(), blocks, strict=True)
                ],
            )
        )

    def _moved(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return batch[0].to(self.device), batch[1].to(self.device)


def _endless(batches: Batches) -> Iterator[Batch]:
    while True:
        yield from batches
