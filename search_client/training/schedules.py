"""Learning-rate schedules."""

from __future__ import annotations

import math

from torch.optim import Optimizer


def cosine(step: int, steps: int, peak: float, rising: int = 0) -> float:
    """The learning rate of a step: a straight rise to `peak`, then a half cosine to 0.

    Args:
        step: from 0.
        steps: of the whole schedule.
        peak: reached after the rise.
        rising: steps of the rise, at the schedule's beginning.
    """
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give all parameters of an optimizer one learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
