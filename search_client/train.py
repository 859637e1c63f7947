"""Training a network from scratch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import Field
from torch import nn

from search_client.schedules import cosine, set_learning_rate
from search_client.steps import Batches, Mean, WeightConfig, device_of, weight_step


class TrainConfig(WeightConfig):
    """How a network is trained: SGD under a cosine. Defaults: ProxylessNAS on ImageNet."""

    epochs: int = Field(default=300, ge=1)
    learning_rate: float = Field(default=0.05, gt=0, description="peak, at batches of 256")
    rising_epochs: int = Field(default=5, ge=0, description="of linear rise to the peak")


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


def train(
    model: nn.Module,
    batches: Batches,
    config: TrainConfig,
    on_step: Callable[[TrainStep], None],
    on_epoch: Callable[[int], None] = lambda _: None,
) -> list[Epoch]:
    """Train all parameters of a model that maps images to logits, on its own device.

    Args:
        model: is put into train mode.
        batches: iterated once an epoch.
        config: how.
        on_step: called after every step.
        on_epoch: called before every epoch with its number, from 0.
    """
    model.train()
    device = device_of(model)
    optimizer = config.optimizer(model.parameters())
    per_epoch = len(batches)
    total = config.epochs * per_epoch
    history = []
    for epoch in range(config.epochs):
        on_epoch(epoch)
        mean = Mean()
        for step, (images, labels) in enumerate(batches, start=epoch * per_epoch):
            rising = config.rising_epochs * per_epoch
            set_learning_rate(optimizer, cosine(step, total, config.learning_rate, rising))
            batch = images.to(device), labels.to(device)
            weight_step(model, batch, optimizer, config.label_smoothing, mean)
            on_step(TrainStep(step + 1, total, mean.loss, mean.accuracy))
        history.append(Epoch(mean.loss, mean.accuracy))
    return history
