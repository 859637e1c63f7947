"""One weight step, the same for a supernet's path, a float network and a quantized one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer

from netspec.errors import UserError
from netspec.validation import FrozenModel
from search_client.data.augmentation import USUAL, Augment
from search_client.data.batches import Batch
from search_client.training.own_task import OwnTask

Arithmetic = Literal["float32", "bfloat16"]
#: a loss (scalar) as changed by what images [N, 3, H, W] and logits [N, classes] come to
LossChange = Callable[[Tensor, Tensor, Tensor], Tensor]


class NotFinite(UserError):
    """A network's numbers are infinite or no numbers at all."""

    #: apart from mistakes of whoever asked: the same command with other settings may go through
    exit_code: ClassVar[int] = 4


@dataclass(frozen=True)
class Mixed:
    """Labels of images that were mixed in pairs: the loss weighs both. Source: mixup (2018)."""

    #: labels of the images that were mixed in, [N]
    others: Tensor
    #: share of the first image, 0 to 1
    share: float


class StepConfig(FrozenModel):
    """How a step moves weights, wherever they are. Source: ProxylessNAS, released code."""

    momentum: float = Field(default=0.9, ge=0, lt=1, description="Nesterov's")
    weight_decay: float = Field(default=4e-5, ge=0, description="of every weight, a step")
    label_smoothing: float = Field(
        default=0.1, ge=0, lt=1, description="share of a label that all classes divide"
    )
    micro_batches: int = Field(
        default=1, ge=1, description="a step's batch runs in so many parts, to save memory"
    )
    task: OwnTask | None = Field(
        default=None,
        description="what is learned in place of the cross-entropy, which alone is smoothed; a "
        "recipe says it once, at its top",
    )

    def loss(self, logits: Tensor, labels: Tensor, *, smoothed: bool = True) -> Tensor:
        """How wrong logits [N, classes] are under labels [N], on the mean (scalar)."""
        logits = logits.float() if logits.dtype == torch.bfloat16 else logits
        if self.task is not None:
            return self.task(logits, labels)
        smoothing = self.label_smoothing if smoothed else 0.0
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)

    def mixed_loss(self, logits: Tensor, labels: Tensor, mixed: Mixed | None) -> Tensor:
        """As `loss`, of images that may be mixed in pairs."""
        loss = self.loss(logits, labels)
        if mixed is None:
            return loss
        return mixed.share * loss + (1 - mixed.share) * self.loss(logits, mixed.others)

    def optimizer(self, weights: Iterable[nn.Parameter]) -> SGD:
        """SGD over the weights; the schedule sets its learning rate at every step."""
        return SGD(
            weights,
            lr=0.0,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
            weight_decay=self.weight_decay,
        )

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context of the forward pass on a device; this one keeps float32."""
        del device
        return nullcontext()


class WeightConfig(StepConfig):
    """How the weights of a supernet or a float network are trained."""

    arithmetic: Arithmetic = Field(
        default="float32", description="of convolutions; bfloat16 by torch's autocast"
    )
    augment: Augment = Field(default=USUAL, description="of the training images")

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context of the forward pass on a device, in the chosen arithmetic."""
        if self.arithmetic == "float32":
            return super().autocast(device)
        return torch.autocast(device.type, torch.bfloat16)


#: mean loss of an epoch from which no training has come back: a cross-entropy begins below 10
LOST = 1e6


class Mean:
    """Running mean of loss and accuracy over the images of some steps."""

    def __init__(self) -> None:
        self.images = 0
        # Tensors, so that counting does not wait for a GPU.
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._correct = torch.zeros((), dtype=torch.int64)

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Count one batch: logits [N, classes], labels [N], the mean loss."""
        self.images += len(labels)
        self._loss_sum = self._loss_sum.to(loss.device) + loss.detach().double() * len(labels)
        self._correct = self._correct.to(loss.device) + (logits.argmax(dim=1) == labels).sum()

    @property
    def loss(self) -> float:
        """Mean loss of an image."""
        return float(self._loss_sum) / self.images

    @property
    def is_lost(self) -> bool:
        """Whether the loss is no number, or beyond what a training comes back from."""
        return not self.loss < LOST

    @property
    def correct(self) -> int:
        """Images whose greatest logit is their label's."""
        return int(self._correct)

    @property
    def accuracy(self) -> float:
        """Fraction of images whose greatest logit is their label's."""
        return self.correct / self.images

    def state(self) -> dict[str, float]:
        """The sums, for a checkpoint."""
        return {
            "images": self.images,
            "loss_sum": float(self._loss_sum),
            "correct": int(self._correct),
        }

    @classmethod
    def of_state(cls, state: dict[str, float]) -> Mean:
        """The mean with the sums of a checkpoint."""
        mean = cls()
        mean.images = int(state["images"])
        mean._loss_sum = torch.tensor(state["loss_sum"], dtype=torch.float64)
        mean._correct = torch.tensor(int(state["correct"]))
        return mean


def device_of(module: nn.Module) -> torch.device:
    """The device that holds a module's parameters."""
    return next(module.parameters()).device


def weight_step(
    run: Callable[[Tensor], Tensor],
    batch: Batch,
    optimizer: Optimizer,
    config: StepConfig,
    mean: Mean,
    *,
    mixed: Mixed | None = None,
    change: LossChange | None = None,
    further: Sequence[Callable[[Tensor], Tensor]] = (),
    distilled: bool = False,
    before_update: Callable[[], None] = lambda: None,
) -> None:
    """Move the weights that `run` used; the others get no gradient, momentum or decay.

    Args:
        run: images to logits.
        batch: on the weights' device.
        optimizer: of the weights.
        config: how.
        mean: counts the batch.
        mixed: of a batch whose images were mixed.
        change: of the loss, before its gradients; None: the labels' alone.
        further: more paths of the same weights; the loss is the mean over all of them.
        distilled: whether these learn from what `run` answers instead of the labels.
        before_update: called between the gradients and the update.
    """
    images, labels = batch
    optimizer.zero_grad(set_to_none=True)
    parts = torch.arange(len(labels)).tensor_split(min(config.micro_batches, len(labels)))
    for part in parts:
        first, last = int(part[0]), int(part[-1]) + 1
        given = labels[first:last]
        of_part = mixed and Mixed(mixed.others[first:last], mixed.share)
        with config.autocast(images.device):
            logits = run(images[first:last])
        loss = config.mixed_loss(logits, given, of_part)
        share = len(given) / len(labels) / (1 + len(further))
        if change is not None:
            loss = change(loss, images[first:last], logits)
        torch.autograd.backward(loss * share)
        mean.add(logits.detach(), given, loss)
        answers = logits.detach().softmax(dim=1)
        for another in further:
            with config.autocast(images.device):
                logits = another(images[first:last])
            if distilled:
                loss = functional.cross_entropy(logits.float(), answers.float())
            else:
                loss = config.mixed_loss(logits, given, of_part)
            torch.autograd.backward(loss * share)
    before_update()
    optimizer.step()


def evaluate(model: nn.Module, batches: Iterable[Batch]) -> float:
    """Top-1 accuracy (fraction) of a model in evaluation mode, which it is left in."""
    return evaluated(model, batches).accuracy


@torch.no_grad()
def evaluated(model: nn.Module, batches: Iterable[Batch]) -> Mean:
    """What a model in evaluation mode, which it is left in, got right."""
    model.eval()
    device = device_of(model)
    mean = Mean()
    for images, labels in batches:
        given = labels.to(device)
        logits = model(images.to(device))
        mean.add(logits, given, functional.cross_entropy(logits, given))
    return mean
