"""Quantization-aware finetuning: from a trained float network to one that is true in int8."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD

from netspec.networks import Network
from search_client.data.batches import Batch, Batches
from search_client.networks.layers import FloatNetwork
from search_client.quantization.network import QuantizedNetwork
from search_client.training.loop import Epoch, TrainStep
from search_client.training.schedules import cosine, set_learning_rate
from search_client.training.step import Mean, device_of

#: batches that set the ranges before the first weight moves
CALIBRATION_BATCHES = 10
#: softens both networks' choices in distillation. Source: Hinton et al. (2015), section 2.
TEMPERATURE = 2.0


class QatConfig(BaseModel):
    """How an int8 network is finetuned: BatchNorm freezes first, then the ranges.

    Always in float32: coarser arithmetic would not be what the file computes.
    Source of the order: Krishnamoorthi, Quantizing deep convolutional networks (2018), 7.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=10, ge=1, description="in all")
    learning_rate: float = Field(default=0.005, gt=0, description="peak, at batches of 256")
    rising_epochs: int = Field(default=0, ge=0, description="of linear rise to the peak")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Nesterov's")
    weight_decay: float = Field(default=4e-5, ge=0, description="of every weight, a step")
    label_smoothing: float = Field(
        default=0.1, ge=0, lt=1, description="share of a label that all classes divide"
    )
    norm_epochs: int = Field(
        default=5, ge=0, description="first ones, in which BatchNorm follows the batches"
    )
    frozen_epochs: int = Field(
        default=2, ge=0, description="last ones, with fixed ranges and BatchNorm folded"
    )
    distillation: float = Field(
        default=0.0, ge=0, le=1, description="share of the float network's choices in the loss"
    )

    def optimizer(self, weights: Iterable[nn.Parameter]) -> SGD:
        """SGD over the weights; the schedule sets its learning rate at every step."""
        nesterov = self.momentum > 0
        return SGD(weights, 0.0, self.momentum, weight_decay=self.weight_decay, nesterov=nesterov)


@torch.no_grad()
def calibrate(
    network: QuantizedNetwork, batches: Iterable[Batch], count: int = CALIBRATION_BATCHES
) -> None:
    """Observe all ranges on the first batches, without moving a weight or a statistic.

    BatchNorm is folded meanwhile: ranges are those of the network as it would be exported.
    """
    network.train()
    layers = list(network.layers())
    frozen = [layer.norm_frozen for layer in layers]
    network.freeze_norms()
    device = device_of(network)
    for images, _ in islice(batches, count):
        network(images.to(device))
    for layer, before in zip(layers, frozen, strict=True):
        layer.norm_frozen = before


def distilled(logits: Tensor, teacher: Tensor) -> Tensor:
    """How far choices [N, classes] are from a teacher's: mean KL divergence, softened (scalar)."""
    student = functional.log_softmax(logits / TEMPERATURE, dim=1)
    wanted = functional.log_softmax(teacher / TEMPERATURE, dim=1)
    divergence = functional.kl_div(student, wanted, reduction="batchmean", log_target=True)
    return divergence * TEMPERATURE**2


def finetune_int8(
    model: FloatNetwork,
    batches: Batches,
    config: QatConfig,
    on_step: Callable[[TrainStep], None],
    network: Network | None = None,
) -> tuple[QuantizedNetwork, list[Epoch]]:
    """Finetune a trained network under fake quantization; `model` stays as it is.

    Args:
        model: trained, with converged running statistics; in evaluation mode afterwards.
        batches: the images that it was trained on.
        config: how.
        on_step: called after every step.
        network: the same operators in mixed precision; None: all int8.
    """
    quantized = QuantizedNetwork.from_float(model, network)
    calibrate(quantized, batches)
    model.eval()
    optimizer = config.optimizer(quantized.parameters())
    device = device_of(quantized)
    per_epoch = len(batches)
    total, rising = config.epochs * per_epoch, config.rising_epochs * per_epoch
    history = []
    quantized.train()
    for epoch in range(config.epochs):
        _freeze(quantized, config, epoch)
        mean = Mean()
        for step, (images, labels) in enumerate(batches.epoch(epoch), start=epoch * per_epoch):
            set_learning_rate(optimizer, cosine(step, total, config.learning_rate, rising))
            optimizer.zero_grad(set_to_none=True)
            _backward(quantized, model, (images.to(device), labels.to(device)), config, mean)
            optimizer.step()
            on_step(TrainStep(step + 1, total, mean.loss, mean.accuracy))
        history.append(Epoch(mean.loss, mean.accuracy))
    return quantized, history


def _freeze(network: QuantizedNetwork, config: QatConfig, epoch: int) -> None:
    ranges_freeze = epoch >= config.epochs - config.frozen_epochs
    if ranges_freeze:
        network.freeze_ranges()
    # Ranges that stay need outputs that no longer depend on the batch.
    if ranges_freeze or epoch >= config.norm_epochs:
        network.freeze_norms()


def _backward(
    network: QuantizedNetwork, model: FloatNetwork, batch: Batch, config: QatConfig, mean: Mean
) -> None:
    images, labels = batch
    logits = network(images)
    loss = functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
    if config.distillation:
        with torch.no_grad():
            teacher = model(images)
        loss = loss.lerp(distilled(logits, teacher), config.distillation)
    torch.autograd.backward(loss)
    mean.add(logits.detach(), labels, loss.detach())
