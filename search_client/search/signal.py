"""Signal to noise of a gradient that every step estimates anew."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from search_client.training.checkpoints import State


class SignalToNoise:
    """How long a gradient's mean over steps is, over how far single steps lie from it.

    Both are lengths over all entries. A mean of n steps is itself off by its spread / sqrt(n), so
    that much is taken from its square: pure noise comes to 0, not to 1 / sqrt(n).
    """

    def __init__(self) -> None:
        #: gradients seen
        self.count = 0
        self._mean = torch.zeros(())
        #: sum of squared distances from the mean, by entry. Source: Welford (1962).
        self._squares = torch.zeros(())

    def add(self, gradient: Tensor) -> None:
        """Count one step's gradient; every step's has the same shape."""
        value = gradient.detach().cpu().double()
        self.count += 1
        off = value - self._mean
        self._mean = self._mean + off / self.count
        self._squares = self._squares + off * (value - self._mean)

    @property
    def value(self) -> float | None:
        """Of one step; None before the second one, and where all were alike."""
        if self.count < 2:  # noqa: PLR2004 - a spread needs two
            return None
        variance = float(self._squares.sum()) / (self.count - 1)
        if variance == 0:
            return None
        signal = float((self._mean**2).sum()) - variance / self.count
        return math.sqrt(max(0.0, signal) / variance)

    def state(self) -> State:
        """What was seen, for a checkpoint."""
        return {"count": self.count, "mean": self._mean, "squares": self._squares}

    @classmethod
    def of_state(cls, state: State) -> SignalToNoise:
        """As a checkpoint has it."""
        signal = cls()
        signal.count = state["count"]
        signal._mean, signal._squares = state["mean"], state["squares"]
        return signal
