"""A block's input, and what its candidates share of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: places for each channel of the input, from which on its covariance costs less than it saves
LEAST_PLACES = 4


@dataclass(frozen=True)
class Moments:
    """Mean [C] and covariance [C, C] of a block's input over images and places."""

    mean: Tensor
    covariance: Tensor


def moments(x: Tensor) -> Moments:
    """Of an input [N, C, H, W]."""
    rows = rows_of(x)
    mean = rows.mean(dim=0)
    covariance = rows.T @ rows / len(rows) - torch.outer(mean, mean)
    return Moments(mean, covariance)


class BlockInput:
    """A block's input, and what its candidates share of it."""

    def __init__(self, x: Tensor) -> None:
        """`x` [N, C, H, W] is laid out NHWC, float32."""
        self.x = x
        self._moments: Moments | None = None
        self._with_ones: dict[tuple[int, int], Tensor] = {}

    @property
    def moments(self) -> Moments | None:
        """Computed when first asked for; None where they do not pay."""
        count, channels, high, wide = self.x.shape
        if self._moments is None and count * high * wide >= LEAST_PLACES * channels:
            self._moments = moments(self.x)
        return self._moments

    def with_ones(self, padding: tuple[int, int]) -> Tensor:
        """The input within zeros, and one more channel that is 1 everywhere but there."""
        if padding not in self._with_ones:
            count, channels, high, wide = self.x.shape
            before, both = padding[0], sum(padding)
            shape = count, high + both, wide + both, channels + 1
            wider = self.x.new_zeros(shape) if both else self.x.new_empty(shape)
            inner = wider[:, before : before + high, before : before + wide]
            inner[..., :channels] = self.x.permute(0, 2, 3, 1)
            inner[..., channels] = 1.0
            self._with_ones[padding] = wider.permute(0, 3, 1, 2)
        return self._with_ones[padding]


def rows_of(x: Tensor) -> Tensor:
    """[N, C, H, W], laid out NHWC, as [N H W, C]; nothing is copied."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
