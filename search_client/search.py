"""The search: warm-up of the weights, then weights and architecture in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from pydantic import Field, TypeAdapter
from torch.nn import functional

from netspec.networks import Network
from search_client import distributed
from search_client.architecture import ArchitectureSteps
from search_client.checkpoints import BadCheckpoint, Checkpoints, State
from search_client.derive import Derived, Rule, most_likely, nearest_to_target, on_target
from search_client.family import Family
from search_client.gates import Gradient, draw_of, sample_path
from search_client.goal import Goal
from search_client.history import ArchitectureStep, History, Phase, SearchEpoch, SearchStep
from search_client.losses import LatencyLoss, LogRatio, Target
from search_client.schedules import cosine, set_learning_rate
from search_client.steps import Batch, Batches, Mean, WeightConfig, device_of, weight_step

#: least time between two reports of progress: each waits for the device
REPORT_S = 0.1

_HISTORY = TypeAdapter(History)


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
    derive: Rule | None = Field(
        default=None,
        description="`argmax` takes the most likely choices, `on_target` the most likely ones "
        "within the tolerance of the reference; by default `on_target` with the loss `target`",
    )
    tolerance: float = Field(
        default=0.01, gt=0, lt=1, description="greatest |LAT / R - 1| of an `on_target` network"
    )
    seed: int = Field(default=0, ge=0, description="of the paths that are drawn")

    @property
    def rule(self) -> Rule:
        """How the network is derived at the end."""
        if self.derive is not None:
            return self.derive
        return "on_target" if isinstance(self.latency_loss, Target) else "argmax"


@dataclass(frozen=True)
class SearchResult:
    """Where a search ended."""

    #: what the search found, by the config's rule
    found: Derived
    #: the most likely choice in every block, for comparison
    most_likely: Derived
    #: E[LAT] of the final probabilities, by target
    expected_ms: tuple[float, ...]
    history: History

    @property
    def network(self) -> Network:
        """The network found."""
        return self.found.network

    @property
    def choices(self) -> list[int]:
        """One a block, as in `Space.network`."""
        return self.found.choices


def derive(family: Family, goal: Goal, rule: Rule, tolerance: float) -> Derived:
    """The network of the family's probabilities, by a rule.

    Raises:
        NoNetworkOnTarget: by `on_target`, where there is none.
    """
    return most_likely(family, goal) if rule == "argmax" else on_target(family, goal, tolerance)


def search(
    family: Family,
    goal: Goal,
    training: Batches,
    held_out: Batches,
    config: SearchConfig,
    on_step: Callable[[SearchStep], None] = lambda _: None,
    checkpoints: Checkpoints | None = None,
    resume: State | None = None,
) -> SearchResult:
    """Search a space: warm-up, then the joint phase, then one network.

    Args:
        family: trained in place, on its own device.
        goal: E[LAT] of the family's variants and their references, on the same device.
        training: for the weight steps; one epoch after another.
        held_out: for the architecture steps; apart from `training`, not augmented, shuffled.
        config: how.
        on_step: called after weight steps, ten times a second at most, and after each epoch.
        checkpoints: saves the search as it goes.
        resume: a state that they saved.

    Raises:
        UserError: the latency loss does not exist for the space's latencies.
        Stopped: the process was asked to end; the state is saved.
    """
    run = Search(family, goal, training, held_out, config, on_step)
    check_loss(goal, family, config.latency_loss)
    if resume is not None:
        run.load_state(resume)
    saved = checkpoints or Checkpoints(None)
    with saved.watching():
        run.run(saved)
    saved.save(run.state())
    likeliest = most_likely(family, goal)
    found = likeliest
    if config.rule == "on_target":
        found = nearest_to_target(family, goal, config.tolerance)
    return SearchResult(
        found=found,
        most_likely=likeliest,
        expected_ms=run.expected_ms(),
        history=run.history,
    )


def check_loss(goal: Goal, family: Family, loss: LatencyLoss) -> None:
    """See that a latency loss exists for every network of a family.

    Raises:
        UserError: it does not.
    """
    if not isinstance(loss, LogRatio):
        return
    for target, aim in enumerate(goal.aims):
        for variant in range(len(family.variants)):
            latency = goal.expected_latency(target, variant)
            exists = family.supernet(variant).exists
            costs = latency.costs_ms.masked_fill(~exists, torch.inf)
            fastest = functional.one_hot(costs.argmin(dim=1), costs.shape[1])
            loss.check(latency(fastest).item(), aim.reference_ms)


def history_of(state: State) -> History:
    """What the search of a saved state went through."""
    return _HISTORY.validate_json(state["history"])


@dataclass
class _Position:
    """The next weight step."""

    phase: int = 0
    epoch: int = 0
    step: int = 0


class Search:
    """A search that can be stopped after any weight step, and taken up again bit for bit."""

    def __init__(
        self,
        family: Family,
        goal: Goal,
        training: Batches,
        held_out: Batches,
        config: SearchConfig,
        on_step: Callable[[SearchStep], None] = lambda _: None,
    ) -> None:
        """Args as in `search`."""
        self.family = family
        self.goal = goal
        self.training = training
        self.held_out = held_out
        self.config = config
        self.on_step = on_step
        self.device = device_of(family)
        # The same on all processes, so that all of them draw the same paths.
        self.generator = torch.Generator().manual_seed(config.seed)
        self.architecture = ArchitectureSteps(
            family,
            goal,
            config.latency_loss,
            config.gradient,
            config.architecture_learning_rate,
            config,
        )
        self.position = _Position()
        self.mean = Mean()
        self.history = History()
        self.weight_steps = 0
        self.optimizer = config.optimizer(family.weights())
        self._held_out: Iterator[Batch] | None = None
        self._reported = time.monotonic()
        self._images_reported = 0
        self._images = 0
        distributed.agree(family)

    @property
    def phases(self) -> tuple[tuple[Phase, int, float], ...]:
        """Name, epochs and greatest learning rate of the two phases."""
        config = self.config
        return (
            ("warm-up", config.warmup_epochs, config.warmup_learning_rate),
            ("joint", config.joint_epochs, config.joint_learning_rate),
        )

    def run(self, checkpoints: Checkpoints) -> None:
        """Run from where it is to the end of the joint phase."""
        while self.position.phase < len(self.phases):
            phase, epochs, peak = self.phases[self.position.phase]
            while self.position.epoch < epochs:
                self._epoch(phase, epochs, peak, checkpoints)
            self.position = _Position(phase=self.position.phase + 1)
            self.optimizer = self.config.optimizer(self.family.weights())

    def _epoch(self, phase: Phase, epochs: int, peak: float, checkpoints: Checkpoints) -> None:
        """What is left of the current epoch, under the phase's own cosine."""
        position, per_epoch = self.position, len(self.training)
        total = epochs * per_epoch
        number = position.epoch + (self.config.warmup_epochs if phase == "joint" else 0)
        for batch in self.training.epoch(number, position.step):
            step = position.epoch * per_epoch + position.step
            set_learning_rate(self.optimizer, cosine(step, total, peak))
            self._weight_step(batch)
            every = self.config.weight_steps_per_architecture_step
            if phase == "joint" and position.epoch > 0 and (step + 1) % every == 0:
                self._architecture_step((step + 1) / total)
            position.step += 1
            last = position.step == per_epoch
            self._report(phase, step + 1, total, now=last)
            if not last:
                checkpoints.step(self.state)
        self._record_epoch(phase)
        position.epoch, position.step = position.epoch + 1, 0
        checkpoints.step(self.state)

    def _weight_step(self, batch: Batch) -> None:
        family = self.family
        family.train()
        variant = 0
        if len(family.variants) > 1:
            every = torch.ones_like(family.beta[None], dtype=torch.bool)
            (variant,), _ = draw_of(family.beta[None], every, "full", self.generator)
        path = sample_path(family.supernet(variant), self.generator)
        weight_step(
            lambda images: cast("torch.Tensor", family(variant, images, path)),
            self._moved(batch),
            self.optimizer,
            self.config,
            self.mean,
            before_update=partial(
                distributed.average_gradients, family.supernet(variant).weights()
            ),
        )
        self.weight_steps += 1
        self._images += len(batch[1])

    def _architecture_step(self, progress: float) -> None:
        """Move alpha once; `progress` is the share of the joint phase that is done."""
        seen = self.architecture.step(
            self._moved(self._next_held_out()),
            self.generator,
            progress * self.config.entropy_weight,
        )
        self.history.architecture_steps.append(
            ArchitectureStep(
                self.weight_steps,
                seen.loss,
                seen.cross_entropy,
                seen.accuracy,
                float(seen.expected_ms[self.goal.worst(seen.expected_ms)]),
            )
        )

    def _next_held_out(self) -> Batch:
        epoch, step = divmod(len(self.history.architecture_steps), len(self.held_out))
        if self._held_out is None or step == 0:
            self._held_out = self.held_out.epoch(epoch, step)
        return next(self._held_out)

    @torch.no_grad()
    def expected_ms(self) -> tuple[float, ...]:
        """E[LAT] now, by target."""
        return tuple(self.goal.expected_ms(self.family, 0).tolist())

    def _report(self, phase: Phase, done: int, total: int, *, now: bool) -> None:
        since = time.monotonic() - self._reported
        if not now and since < REPORT_S:
            return
        expected_ms = self.expected_ms()
        worst = self.goal.worst(torch.tensor(expected_ms))
        self.on_step(
            SearchStep(
                phase=phase,
                done=done,
                total=total,
                loss=self.mean.loss,
                accuracy=self.mean.accuracy,
                expected_ms=expected_ms[worst],
                reference_ms=self.goal.aims[worst].reference_ms,
                entropy=self.family.entropy().item(),
                images_per_s=(self._images - self._images_reported) / max(since, 1e-6),
            )
        )
        self._reported, self._images_reported = time.monotonic(), self._images

    def _record_epoch(self, phase: Phase) -> None:
        family = self.family
        likeliest = int(family.beta.argmax())
        p = family.supernet(likeliest).probabilities()
        blocks = family.variants[likeliest].space.blocks
        expected_ms = self.expected_ms()
        self.history.epochs.append(
            SearchEpoch(
                phase=phase,
                weight_steps=self.weight_steps,
                loss=self.mean.loss,
                accuracy=self.mean.accuracy,
                expected_ms=expected_ms[self.goal.worst(torch.tensor(expected_ms))],
                entropy=family.entropy().item(),
                probabilities=[
                    row[: block.choices] for row, block in zip(p.tolist(), blocks, strict=True)
                ],
                variants=family.variant_probabilities().tolist(),
            )
        )
        self.mean = Mean()

    def state(self) -> State:
        """All that the next step depends on, and the history."""
        return {
            "config": self.config.model_dump_json(),
            "family": self.family.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "architecture": self.architecture.optimizer.state_dict(),
            "baseline": self.architecture.baseline,
            "paths": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "position": [self.position.phase, self.position.epoch, self.position.step],
            "weight_steps": self.weight_steps,
            "mean": self.mean.state(),
            "history": _HISTORY.dump_json(self.history).decode(),
        }

    def load_state(self, state: State) -> None:
        """Go back to where a state was taken.

        Raises:
            BadCheckpoint: the state is a search's with another config or space.
        """
        if state["config"] != self.config.model_dump_json():
            raise BadCheckpoint(
                "the checkpoint was saved by a search with other settings; give the same recipe, "
                "or start without --resume"
            )
        self.family.load_state_dict(state["family"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.architecture.optimizer.load_state_dict(state["architecture"])
        self.architecture.baseline = state["baseline"]
        self.generator.set_state(state["paths"])
        torch.set_rng_state(state["torch"])
        self.position = _Position(*state["position"])
        self.weight_steps = state["weight_steps"]
        self.mean = Mean.of_state(state["mean"])
        self.history = history_of(state)

    def _moved(self, batch: Batch) -> Batch:
        return batch[0].to(self.device), batch[1].to(self.device)
