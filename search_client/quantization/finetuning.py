"""Quantization-aware finetuning: from a trained float network to one that is true in int8."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import torch
from pydantic import Field

from netspec.networks import Network
from search_client.data.batches import Batch, Batches
from search_client.networks.layers import FloatNetwork
from search_client.quantization.delegable import keep_delegable
from search_client.quantization.network import QuantizedNetwork
from search_client.training.checkpoints import Checkpoints, State, state_hash
from search_client.training.distillation import distilling
from search_client.training.loop import Epoch, LoopConfig, TrainStep, train
from search_client.training.norm_statistics import recalibrate
from search_client.training.step import device_of

#: batches that set the ranges before the first weight moves
CALIBRATION_BATCHES = 10


class QatConfig(LoopConfig):
    """How an int8 network is finetuned: BatchNorm freezes first, then the ranges.

    Always in float32: coarser arithmetic would not be what the file computes.
    Source of the order: Krishnamoorthi, Quantizing deep convolutional networks (2018), 7.
    """

    epochs: int = Field(default=10, ge=1, description="in all")
    learning_rate: float = Field(default=0.005, gt=0, description="peak, at batches of 256")
    norm_epochs: int = Field(
        default=5, ge=0, description="first ones, in which BatchNorm follows the batches"
    )
    learn_ranges: bool = Field(
        default=False,
        description="whether ranges of activations are learned with the weights, to the end, in "
        "place of following the batches",
    )
    statistics_batches: int = Field(
        default=0,
        ge=0,
        description="from which BatchNorm's statistics are taken anew when it stops following the "
        "batches; 0: its moving averages stay",
    )
    frozen_epochs: int = Field(
        default=2, ge=0, description="last ones, with fixed ranges and BatchNorm folded"
    )
    distillation: float = Field(
        default=0.0, ge=0, le=1, description="share of the float network's choices in the loss"
    )

    @property
    def first_folded(self) -> int:
        """The epoch from which BatchNorm is folded with its statistics."""
        # Ranges that stay need outputs that no longer depend on the batch.
        return max(0, min(self.norm_epochs, self.epochs - self.frozen_epochs))


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


def finetune_int8(
    model: FloatNetwork,
    batches: Batches,
    config: QatConfig,
    on_step: Callable[[TrainStep], None],
    network: Network | None = None,
    *,
    checkpoints: Checkpoints | None = None,
    resume: State | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[QuantizedNetwork, list[Epoch]]:
    """Finetune a trained network under fake quantization; `model` stays as it is.

    Args:
        model: trained, with converged running statistics; in evaluation mode afterwards.
        batches: the images that it was trained on.
        config: how.
        on_step: called after every step.
        network: the same operators in mixed precision; None: all int8.
        checkpoints: saves the finetuning as it goes.
        resume: a state that they saved.
        tell: as of `train`.

    Raises:
        Stopped: the process was asked to end; the state is saved.
        Diverged: the loss or a weight is no finite number.
    """
    quantized = QuantizedNetwork.from_float(model, network)
    if resume is None:
        calibrate(quantized, batches)
    if config.learn_ranges:
        quantized.learn_ranges()
    model.eval()

    began = None if resume is None else tuple(resume["position"])

    def freeze(epoch: int) -> None:
        # A state from within an epoch has the statistics and ranges of its beginning.
        amid = began is not None and began[0] == epoch and began[1] > 0
        if epoch == config.first_folded and config.statistics_batches and not amid:
            recalibrate(quantized, islice(batches.epoch(epoch), config.statistics_batches))
            quantized.train()
        _freeze(quantized, config, epoch)
        if epoch == config.epochs - config.frozen_epochs and not amid:
            keep_delegable(quantized)

    history = train(
        quantized,
        batches,
        config,
        on_step,
        freeze,
        change=distilling(model, config.distillation),
        origin=state_hash(model),
        checkpoints=checkpoints,
        resume=resume,
        tell=tell,
    )
    quantized.settle_ranges()
    # A state that was saved at the very end is resumed without any epoch.
    _freeze(quantized, config, config.epochs - 1)
    keep_delegable(quantized)
    return quantized, history


def _freeze(network: QuantizedNetwork, config: QatConfig, epoch: int) -> None:
    ranges_freeze = epoch >= config.epochs - config.frozen_epochs
    if ranges_freeze:
        network.freeze_ranges()
    if epoch >= config.first_folded:
        network.freeze_norms()
