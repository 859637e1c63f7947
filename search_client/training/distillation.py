"""Distillation: a network learns from another one's choices, beside the labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_client.training.step import LossChange

#: softens both networks' choices. Source: Hinton et al. (2015), section 2.
TEMPERATURE = 2.0


def distilled(logits: Tensor, teacher: Tensor) -> Tensor:
    """How far choices [N, classes] are from a teacher's: mean KL divergence, softened (scalar)."""
    student = functional.log_softmax(logits / TEMPERATURE, dim=1)
    wanted = functional.log_softmax(teacher / TEMPERATURE, dim=1)
    divergence = functional.kl_div(student, wanted, reduction="batchmean", log_target=True)
    return divergence * TEMPERATURE**2


def distilling(teacher: nn.Module, share: float) -> LossChange | None:
    """A loss in which a teacher's choices have a share; None where the share is 0.

    Args:
        teacher: images to logits, in evaluation mode, on the images' device.
        share: 0: the labels alone; 1: the teacher alone.
    """
    if share == 0:
        return None

    def change(loss: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = teacher(images)
        return loss.lerp(distilled(logits, wanted), share)

    return change
