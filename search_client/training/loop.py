"""The one training loop: of a float network from scratch, and of a quantized one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self, cast

import numpy as np
import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from netspec.validation import FrozenModel
from search_client.data.batches import Batch, Batches
from search_client.training import distributed
from search_client.training.checkpoints import BadCheckpoint, Checkpoints, State
from search_client.training.memory import keep_freed_memory
from search_client.training.rollback import STEPS, Rollback, finite
from search_client.training.schedules import cosine, set_learning_rate
from search_client.training.step import (
    LOST,
    LossChange,
    Mean,
    Mixed,
    NotFinite,
    StepConfig,
    WeightConfig,
    device_of,
    weight_step,
)

#: what a training begins from
Start = Literal["scratch", "supernet"]


class LoopConfig(StepConfig):
    """How any network is trained: SGD under a cosine."""

    epochs: int = Field(default=300, ge=1, description="in all")
    learning_rate: float = Field(default=0.05, gt=0, description="peak, at batches of 256")
    rising_epochs: int = Field(default=0, ge=0, description="of linear rise to the peak")
    decay_norms: bool = Field(
        default=True,
        description="whether BatchNorm's gains and biases decay, too; ProxylessNAS': no",
    )
    average_decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="of an exponential moving average of the weights and statistics, a step; "
        "the average is what training ends with; 0: none",
    )
    mixup: float = Field(
        default=0.0, ge=0, description="both parameters of the beta distribution; 0: none"
    )

    def optimizer_of(self, model: nn.Module) -> SGD:
        """SGD over all parameters of a model; the schedule sets its learning rate."""
        if self.decay_norms:
            return self.optimizer(model.parameters())
        modules = (module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
        norms = [parameter for module in modules for parameter in module.parameters()]
        ids = {id(parameter) for parameter in norms}
        optimizer = self.optimizer(
            parameter for parameter in model.parameters() if id(parameter) not in ids
        )
        optimizer.add_param_group({"params": norms, "weight_decay": 0.0})
        return optimizer


class InheritConfig(FrozenModel):
    """How a network is finetuned that starts from a supernet's weights."""

    epochs_share: float = Field(
        default=0.25, gt=0, le=1, description="of `train.epochs`, rounded up"
    )
    learning_rate_share: float = Field(
        default=0.5, gt=0, le=1, description="of `train.learning_rate`"
    )
    distillation: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share in the loss of what the supernet's largest network answers, which "
        "knows more than the labels say only where the search trained it: by `sandwich`",
    )


class TrainConfig(WeightConfig, LoopConfig):
    """How a float network is trained.

    Defaults: ProxylessNAS on ImageNet, but for `augment` and `decay_norms`.
    """

    start: Start = Field(
        default="scratch",
        description="of the network that a search found: drawn weights, or those that the "
        "`supernet` has for it; every other network starts from scratch",
    )
    inherit: InheritConfig = Field(
        default=InheritConfig(), description="how the weights of the supernet are finetuned"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of pooled features")
    compile: bool = Field(default=False, description="by torch.compile, which needs a C++ compiler")

    def inheriting(self) -> Self:
        """The same for weights that are trained already: fewer epochs, smaller steps."""
        epochs = math.ceil(self.inherit.epochs_share * self.epochs)
        changed = {
            "epochs": epochs,
            "learning_rate": self.inherit.learning_rate_share * self.learning_rate,
            "rising_epochs": min(self.rising_epochs, epochs - 1),
        }
        return self.model_copy(update=changed)


class Diverged(NotFinite):
    """A training's loss or weights are no numbers any more."""

    @classmethod
    def after(cls, step: int, steps: int, peak: float) -> Self:
        """Say after which of all steps, and how high the learning rate was to rise."""
        return cls(
            f"training diverged: after step {step:,} of {steps:,} loss or weights are no finite "
            f"numbers, or the loss is above {LOST:,.0f}; lower learning_rate (now {peak:g}) or "
            "raise rising_epochs, and start without --resume"
        )


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training came to."""

    #: of the epoch's images as they were trained on, with label smoothing
    loss: float
    #: fraction, of the same images
    accuracy: float


@dataclass(frozen=True)
class TrainStep:
    """How far training is."""

    #: steps done
    done: int
    #: steps in all
    total: int
    #: of the epoch so far
    loss: float
    #: fraction, of the epoch so far
    accuracy: float
    #: that the step was made with
    learning_rate: float
    #: whether it was the last of an epoch
    ends_epoch: bool


_EPOCHS = TypeAdapter(list[Epoch])


def train(
    model: nn.Module,
    batches: Batches,
    config: LoopConfig,
    on_step: Callable[[TrainStep], None],
    on_epoch: Callable[[int], None] = lambda _: None,
    *,
    change: LossChange | None = None,
    origin: str = "",
    checkpoints: Checkpoints | None = None,
    resume: State | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Epoch]:
    """Train all parameters of a model that maps images to logits, on its own device.

    Args:
        model: is put into train mode.
        batches: one epoch after another.
        config: how.
        on_step: called after every step.
        on_epoch: called before every epoch with its number, from 0; of a resumed one again.
        change: of the loss, as in `weight_step`.
        origin: what the training begins from, if not from drawn weights; a resume needs the same.
        checkpoints: saves the training as it goes.
        resume: a state that they saved.
        tell: hears when the training goes back to its last good step, with half the learning rate.

    Raises:
        Stopped: the process was asked to end; the state is saved.
        Diverged: the loss or a weight is no finite number, also after it went back three times;
            nothing of it is saved.
    """
    run = _Training(model, batches, config, change, origin, tell)
    if resume is not None:
        run.load_state(resume)
    saved = checkpoints or Checkpoints(None)
    with saved.watching():
        while run.epoch < config.epochs:
            on_epoch(run.epoch)
            try:
                run.run_epoch(on_step, saved)
            except NotFinite as error:
                run.go_back(error)
    run.finish()
    return run.history


class _Training:
    """A training that can be stopped after any step, and taken up again bit for bit."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        config: LoopConfig,
        change: LossChange | None = None,
        origin: str = "",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.model = model.train()
        self.batches = batches
        self.config = config
        self.change = change
        self.origin = origin
        self.device = device_of(model)
        distributed.agree(model)
        keep_freed_memory()
        self.optimizer = config.optimizer_of(model)
        #: moving average of the model's state, empty where there is none
        self.average: dict[str, Tensor] = {}
        if config.average_decay > 0:
            self.average = {name: value.clone() for name, value in model.state_dict().items()}
        self.runs: nn.Module = model
        if distributed.world() > 1:
            self.runs = DistributedDataParallel(model)
        if isinstance(config, TrainConfig) and config.compile:
            self.runs = cast("nn.Module", torch.compile(self.runs))
        self.epoch = 0
        self.step = 0
        self.mean = Mean()
        self.history: list[Epoch] = []
        self.rollback = Rollback(tell)

    def run_epoch(self, on_step: Callable[[TrainStep], None], checkpoints: Checkpoints) -> None:
        """What is left of the current epoch."""
        per_epoch = len(self.batches)
        total = self.config.epochs * per_epoch
        rising = self.config.rising_epochs * per_epoch
        self.rollback.keep(self)
        for batch in self.batches.epoch(self.epoch, self.step):
            done = self.epoch * per_epoch + self.step
            rate = cosine(done, total, self.config.learning_rate, rising)
            rate *= self.rollback.rate
            set_learning_rate(self.optimizer, rate)
            self._train(batch)
            self.step += 1
            # The last update of an epoch has no loss after it that would show it.
            last = self.step == per_epoch
            kept = self.step % STEPS == 0 or last
            if distributed.any_process(self.mean.is_lost) or (kept and not finite(self.model)):
                raise self._diverged()
            if kept and not last:
                self.rollback.keep(self)
            on_step(TrainStep(done + 1, total, self.mean.loss, self.mean.accuracy, rate, last))
            if not last:
                checkpoints.step(self.state)
        self.history.append(Epoch(self.mean.loss, self.mean.accuracy))
        self.mean = Mean()
        self.epoch, self.step = self.epoch + 1, 0
        checkpoints.step(self.state)

    def go_back(self, error: NotFinite) -> None:
        """Return to the last good step.

        Raises:
            Diverged: it was three times already.
        """
        self.rollback.back(self, error if isinstance(error, Diverged) else self._diverged())

    def _diverged(self) -> Diverged:
        per_epoch = len(self.batches)
        return Diverged.after(
            self.epoch * per_epoch + self.step,
            self.config.epochs * per_epoch,
            self.config.learning_rate,
        )

    def _train(self, batch: Batch) -> None:
        images, labels = batch[0].to(self.device), batch[1].to(self.device)
        mixed = None
        if self.config.mixup > 0:
            images, mixed = self._mix(images, labels)
        weight_step(
            self._logits,
            (images, labels),
            self.optimizer,
            self.config,
            self.mean,
            mixed=mixed,
            change=self.change,
        )
        self._update_average()

    def _logits(self, images: Tensor) -> Tensor:
        """What the model answers; where one process's numbers are none, all end the step here.

        Raises:
            NotFinite: the model refused its numbers, here or in another process.
        """
        if distributed.world() == 1:
            return cast("Tensor", self.runs(images))
        logits = images
        refused: NotFinite | None = None
        try:
            logits = self.runs(images)
        except NotFinite as error:
            refused = error
        # Else the others would wait for this one's gradients.
        if distributed.any_process(refused is not None):
            raise self._diverged() from refused
        return logits

    @torch.no_grad()
    def _update_average(self) -> None:
        values = self.model.state_dict() if self.average else {}
        for name, value in values.items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - self.config.average_decay)
            else:
                self.average[name].copy_(value)

    def _mix(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Mixed]:
        """Images mixed in pairs by one share a batch. Source: mixup (ICLR 2018)."""
        seed = int(torch.randint(2**31, ()))
        share = float(np.random.default_rng(seed).beta(self.config.mixup, self.config.mixup))
        order = torch.randperm(len(labels)).to(labels.device)
        return share * images + (1 - share) * images[order], Mixed(labels[order], share)

    def finish(self) -> None:
        """Give the model the averaged weights, where there are some."""
        if self.average:
            self.model.load_state_dict(self.average)

    def state(self) -> State:
        """All that the next step depends on."""
        return {
            "config": self.config.model_dump_json(),
            "batches": len(self.batches),
            "origin": self.origin,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "torch": torch.get_rng_state(),
            "position": [self.epoch, self.step],
            "mean": self.mean.state(),
            "history": _EPOCHS.dump_json(self.history).decode(),
            "went_back": self.rollback.times,
        }

    def load_state(self, state: State) -> None:
        """Go back to where a state was taken.

        Raises:
            BadCheckpoint: the state is a training's with another config, network or data.
        """
        try:
            config = type(self.config).model_validate_json(state["config"])
        except ValidationError:
            config = None
        if config != self.config or state.get("batches") != len(self.batches):
            raise BadCheckpoint.saved_by("a training with other settings or data")
        if state.get("origin", "") != self.origin:
            raise BadCheckpoint.saved_by("a training that began from other weights")
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise BadCheckpoint.saved_by("a training of another network") from error
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            # In place: the average stays on the model's device.
            self.average[name].copy_(value)
        torch.set_rng_state(state["torch"])
        self.epoch, self.step = state["position"]
        self.mean = Mean.of_state(state["mean"])
        self.history = _EPOCHS.validate_json(state["history"])
        self.rollback.times = state.get("went_back", 0)
