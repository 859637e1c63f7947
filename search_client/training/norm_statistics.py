"""BatchNorm's running statistics, taken anew."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from search_client.data.batches import Batch


@torch.no_grad()
def recalibrate(model: nn.Module, batches: Iterable[Batch]) -> None:
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
