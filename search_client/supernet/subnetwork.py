"""A path cut out of a supernet as a network of its own: to score it, or to train it on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import nn

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
