"""One weight step, the same for a supernet's path, a float network and a quantized one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer

Batch = tuple[Tensor, Tensor]


class Batches(Protocol):
    """Normalised images [N, 3, H, W] and labels [N]; each iteration is one epoch."""

    def __iter__(self) -> Iterator[Batch]:
        """The batches of one epoch."""

    def __len__(self) -> int:
        """Batches in an epoch."""


class WeightConfig(BaseModel):
    """How weights are trained, wherever they are. Source: ProxylessNAS, released code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    momentum: float = Field(default=0.9, ge=0, lt=1, description="Nesterov's")
    weight_decay: float = Field(default=4e-5, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)

    def optimizer(self, weights: Iterable[nn.Parameter]) -> SGD:
        """SGD over the weights; the schedule sets its learning rate at every step."""
        return SGD(
            weights,
            lr=0.0,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
            weight_decay=self.weight_decay,
        )


@dataclass
class Mean:
    """Running mean of loss and accuracy over the images of some steps."""

    images: int = 0
    loss_sum: float = 0.0
    correct: int = 0

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Count one batch: logits [N, classes], labels [N], the mean loss."""
        self.images += len(labels)
        self.loss_sum += loss.item() * len(labels)
        self.correct += int((logits.argmax(dim=1) == labels).sum())

    @property
    def loss(self) -> float:
        """Mean loss of an image."""
        return self.loss_sum / self.images

    @property
    def accuracy(self) -> float:
        """Fraction of images whose greatest logit is their label's."""
        return self.correct / self.images


def device_of(module: nn.Module) -> torch.device:
    """The device that holds a module's parameters."""
    return next(module.parameters()).device


def weight_step(
    run: Callable[[Tensor], Tensor],
    batch: Batch,
    optimizer: Optimizer,
    label_smoothing: float,
    mean: Mean,
) -> None:
    """Move the weights that `run` used; the others get no gradient, momentum or decay."""
    images, labels = batch
    optimizer.zero_grad(set_to_none=True)
    logits = run(images)
    loss = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    torch.autograd.backward(loss)
    optimizer.step()
    mean.add(logits.detach(), labels, loss.detach())


@torch.no_grad()
def evaluate(model: nn.Module, batches: Batches) -> float:
    """Top-1 accuracy (fraction) of a model in evaluation mode, which it is left in."""
    model.eval()
    device = device_of(model)
    mean = Mean()
    for images, labels in batches:
        given = labels.to(device)
        logits = model(images.to(device))
        mean.add(logits, given, functional.cross_entropy(logits, given))
    return mean.accuracy
