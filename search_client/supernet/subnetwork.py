"""A path cut out of a supernet as a network of its own: to score it, or to train it on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import nn

from search_client.data.batches import Batch
from search_client.networks.layers import FloatNetwork, OperatorModule
from search_client.supernet.shared_weights import SlicedOperator
from search_client.supernet.variants import Family
from search_client.training.step import device_of


def subnetwork(
    family: Family, variant: int, choices: Sequence[int], dropout: float = 0.0
) -> FloatNetwork:
    """A copy of one path's weights, on the family's device.

    Where weights are shared, BatchNorm's statistics are fresh: see `recalibrate`.
    """
    supernet = family.supernet(variant)
    path: list[nn.Module] = [*supernet.start]
    for candidates, choice in zip(supernet.blocks, choices, strict=True):
        several = cast("nn.ModuleList", candidates)
        path += [several[choice]] if choice < len(several) else []
    path += supernet.end
    network = family.network(variant, choices).with_precision("float32")
    model = FloatNetwork(network, dropout).to(device_of(family))
    for target, source in zip(model.operators, path, strict=True):
        if isinstance(source, SlicedOperator):
            source.copy_to(cast("OperatorModule", target))
        else:
            target.load_state_dict(source.state_dict())
    return model


@torch.no_grad()
def recalibrate(model: FloatNetwork, batches: Iterable[Batch]) -> None:
    """Take BatchNorm's running statistics anew, as plain means over batches of training images.

    Statistics of a supernet are those of no network: they mix all paths that ran.
    The model is left in evaluation mode. Source: BigNAS (ECCV 2020), section 3.4.

    Args:
        model: whose weights stay.
        batches: at the model's input size, on its device.
    """
    norms = [child for child in model.modules() if isinstance(child, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # torch's word for the mean over all batches
        norm.momentum = None
    model.train()
    for images, _ in batches:
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
