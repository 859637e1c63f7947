"""The steps of a search: warm-up of the weights, then weights and architecture in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import TypeAdapter

from search_client.data.batches import Batch, Batches
from search_client.latency.objective import Goal
from search_client.search.architecture_step import ArchitectureSteps
from search_client.search.candidates import Candidate
from search_client.search.config import SearchConfig
from search_client.search.history import ArchitectureStep, History, Phase, SearchStep
from search_client.search.progress import Reports, epoch_of
from search_client.search.sampling import PathSampler, extreme
from search_client.search.signal import SignalToNoise
from search_client.supernet.variants import Family
from search_client.training import distributed
from search_client.training.checkpoints import BadCheckpoint, Checkpoints, State
from search_client.training.memory import keep_freed_memory
from search_client.training.rollback import STEPS, Rollback, finite
from search_client.training.schedules import cosine, set_learning_rate
from search_client.training.step import LOST, Mean, NotFinite, device_of, weight_step

_HISTORY = TypeAdapter(History)


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
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Args as in `search`."""
        self.family = family
        self.goal = goal
        self.training = training
        self.held_out = held_out
        self.config = config
        self.reports = Reports(family, goal, on_step)
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
        self.paths = PathSampler(family, goal, config.sampling)
        self.position = _Position()
        self.mean = Mean()
        #: of alpha's gradient, over all architecture steps
        self.signal = SignalToNoise()
        self.history = History()
        self.weight_steps = 0
        self.optimizer = config.optimizer(family.weights())
        self._held_out: Iterator[Batch] | None = None
        self.rollback = Rollback(tell)
        distributed.agree(family)
        keep_freed_memory()

    @property
    def phases(self) -> tuple[tuple[Phase, int, float], ...]:
        """Name, epochs and greatest learning rate; only the gradient has a joint phase."""
        config = self.config
        warmup: tuple[Phase, int, float] = (
            "warm-up",
            config.warmup_epochs,
            config.warmup_learning_rate,
        )
        if config.method != "gradient":
            return (warmup,)
        return (warmup, ("joint", config.joint_epochs, config.joint_learning_rate))

    def run(self, checkpoints: Checkpoints) -> None:
        """Run from where it is to the end of the joint phase.

        Raises:
            NotFinite: the loss is no finite number, also after the search went back three times
                to its last good step, with half the learning rate; nothing of that is saved.
        """
        while self.position.phase < len(self.phases):
            phase, epochs, peak = self.phases[self.position.phase]
            while self.position.epoch < epochs:
                try:
                    self._epoch(phase, epochs, peak, checkpoints)
                except NotFinite as error:
                    reached = self.weight_steps
                    self.rollback.back(self, error)
                    self.history.went_back.append(reached)
            self.position = _Position(phase=self.position.phase + 1)
            self.optimizer = self.config.optimizer(self.family.weights())

    def _epoch(self, phase: Phase, epochs: int, peak: float, checkpoints: Checkpoints) -> None:
        """What is left of the current epoch, under the phase's own cosine."""
        position, per_epoch = self.position, len(self.training)
        total = epochs * per_epoch
        number = position.epoch + (self.config.warmup_epochs if phase == "joint" else 0)
        self.rollback.keep(self)
        for batch in self.training.epoch(number, position.step):
            step = position.epoch * per_epoch + position.step
            set_learning_rate(self.optimizer, self.rollback.rate * cosine(step, total, peak))
            self._weight_step(batch)
            self._end_where(self.mean.is_lost, phase)
            every = self.config.weight_steps_per_architecture_step
            if phase == "joint" and position.epoch > 0 and (step + 1) % every == 0:
                self._architecture_step((step + 1) / total)
                loss = self.history.architecture_steps[-1].loss
                self._end_where(not math.isfinite(loss), phase)
            position.step += 1
            last = position.step == per_epoch
            # The last update of all has no loss after it that would show it.
            if last or position.step % STEPS == 0:
                self._end_where(not finite(self.family), phase)
                self.rollback.keep(self)
            self.reports.step(
                phase,
                step + 1,
                total,
                self.weight_steps,
                self.mean,
                gradient_snr=self.signal.value,
                now=last,
            )
            if not last:
                checkpoints.step(self.state)
        self.history.epochs.append(
            epoch_of(self.family, self.goal, phase, self.weight_steps, self.mean, self.signal.value)
        )
        self.mean = Mean()
        position.epoch, position.step = position.epoch + 1, 0
        checkpoints.step(self.state)

    def _end_where(self, lost: bool, phase: Phase) -> None:
        if distributed.any_process(lost):
            # A weight that is no number shows at the next step, which may be the next phase's.
            raise NotFinite(
                f"the search diverged: after {self.weight_steps:,} weight steps, in the {phase} "
                f"phase, loss or weights are no finite numbers, or the loss is above {LOST:,.0f}; "
                "lower search.warmup_learning_rate or search.joint_learning_rate, and start "
                "without --resume"
            )

    def _weight_step(self, batch: Batch) -> None:
        family = self.family
        family.begin_training()
        first, *further = [partial(_logits, family, path) for path in self._paths()]
        weight_step(
            first,
            self._moved(batch),
            self.optimizer,
            self.config,
            self.mean,
            further=further,
            distilled=self.config.sampling == "sandwich",
            before_update=partial(distributed.average_gradients, family.weights()),
        )
        self.weight_steps += 1
        self.reports.count(len(batch[1]) * distributed.world())

    def _paths(self) -> list[Candidate]:
        """What the next weight step trains."""
        if self.position.phase == 0 and self.position.epoch < self.config.largest_epochs:
            return [extreme(self.family, largest=True)]
        return self.paths.draw(self.generator)

    def _architecture_step(self, progress: float) -> None:
        """Move alpha once; `progress` is the share of the joint phase that is done."""
        config = self.config
        risen = max(0.0, progress - config.entropy_from) / (1 - config.entropy_from)
        first = len(self.history.architecture_steps) * config.architecture_batches
        outcome = self.architecture.step(
            [
                self._moved(self._held_out_batch(first + index))
                for index in range(config.architecture_batches)
            ],
            self.generator,
            risen * config.entropy_weight,
        )
        self.signal.add(outcome.signal)
        self.history.architecture_steps.append(
            ArchitectureStep(
                self.weight_steps,
                outcome.loss,
                outcome.cross_entropy,
                outcome.accuracy,
                float(outcome.expected_ms[self.goal.worst(outcome.expected_ms)]),
            )
        )

    def _held_out_batch(self, number: int) -> Batch:
        epoch, step = divmod(number, len(self.held_out))
        if self._held_out is None or step == 0:
            self._held_out = self.held_out.epoch(epoch, step)
        return next(self._held_out)

    def state(self) -> State:
        """All that the next step depends on, and the history."""
        return {
            "config": self.config.model_dump_json(),
            "batches": [len(self.training), len(self.held_out)],
            "family": self.family.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "architecture": self.architecture.optimizer.state_dict(),
            "baseline": self.architecture.baseline,
            "paths": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "position": [self.position.phase, self.position.epoch, self.position.step],
            "weight_steps": self.weight_steps,
            "mean": self.mean.state(),
            "signal": self.signal.state(),
            "history": _HISTORY.dump_json(self.history).decode(),
            "went_back": self.rollback.times,
        }

    def load_state(self, state: State) -> None:
        """Go back to where a state was taken.

        Raises:
            BadCheckpoint: the state is a search's with another config, space or data.
        """
        same = SearchConfig.model_validate_json(state["config"]) == self.config
        if not same or state.get("batches") != [len(self.training), len(self.held_out)]:
            raise BadCheckpoint.saved_by("a search with other settings or data")
        try:
            self.family.load_state_dict(state["family"])
        except RuntimeError as error:
            raise BadCheckpoint.saved_by("a search of another space", "the same recipe") from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.architecture.optimizer.load_state_dict(state["architecture"])
        self.architecture.baseline = state["baseline"]
        self.generator.set_state(state["paths"])
        torch.set_rng_state(state["torch"])
        self.position = _Position(*state["position"])
        self.weight_steps = state["weight_steps"]
        self.mean = Mean.of_state(state["mean"])
        # A state of before has none.
        if "signal" in state:
            self.signal = SignalToNoise.of_state(state["signal"])
        self.history = history_of(state)
        self.rollback.times = state.get("went_back", 0)
        self._held_out = None

    def _moved(self, batch: Batch) -> Batch:
        return batch[0].to(self.device), batch[1].to(self.device)


def _logits(family: Family, path: Candidate, images: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = family(path.variant, images, path.choices)
    return logits
