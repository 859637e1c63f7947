"""Quantization-aware finetuning: from a trained float network to one that is true in int8."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from pydantic import Field

from search_client.modules import FloatNetwork
from search_client.quantize import QuantizedNetwork
from search_client.steps import Batches, device_of
from search_client.train import Epoch, TrainConfig, TrainStep, train

#: batches that set the ranges before the first weight moves
CALIBRATION_BATCHES = 10


class QatConfig(TrainConfig):
    """How an int8 network is finetuned; ranges stay fixed over the last epochs."""

    epochs: int = Field(default=10, ge=1)
    learning_rate: float = Field(default=0.005, gt=0, description="peak, at batches of 256")
    rising_epochs: int = Field(default=0, ge=0, description="of linear rise to the peak")
    frozen_epochs: int = Field(default=2, ge=0, description="last ones, with fixed ranges")


@torch.no_grad()
def calibrate(network: QuantizedNetwork, batches: Batches) -> None:
    """Observe all ranges on the first batches, without moving a weight."""
    network.train()
    device = device_of(network)
    for images, _ in islice(batches, CALIBRATION_BATCHES):
        network(images.to(device))


def finetune_int8(
    model: FloatNetwork,
    batches: Batches,
    config: QatConfig,
    on_step: Callable[[TrainStep], None],
) -> tuple[QuantizedNetwork, list[Epoch]]:
    """Fold a trained network and finetune it under fake quantization; `model` stays as it is.

    Args:
        model: trained, with converged running statistics.
        batches: the images that it was trained on.
        config: how.
        on_step: called after every step.
    """
    network = QuantizedNetwork.from_float(model)
    calibrate(network, batches)

    def freeze_at_the_end(epoch: int) -> None:
        if epoch >= config.epochs - config.frozen_epochs:
            network.freeze_ranges()

    return network, train(network, batches, config, on_step, freeze_at_the_end)
