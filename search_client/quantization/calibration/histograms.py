"""Ranges from histograms: clipping what is rare, where finer steps for the rest are worth more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from netspec.layers import FusedActivation
from netspec.quantization import INT8_MAX, INT8_MIN
from search_client.quantization.fake_quantize import LIMITS

#: `minmax`: moving averages of the batches' least and greatest values; `percentile`: between two
#: quantiles of all values; `mse`: what rounds all values with the least squared error
RangeMethod = Literal["minmax", "percentile", "mse"]

_BINS = 2048
#: share of the values that `percentile` clips at each end
_CLIPPED = 1e-4
#: ranges that `mse` tries, each a share of all
_SHARES = 100


class Histogram:
    """How often an activation takes which values, over batches."""

    def __init__(self, low: Tensor, high: Tensor) -> None:
        """Args: least and greatest value that is counted, scalars; greater ones count as these."""
        self._low, self._high = low.item(), high.item()
        self._counts = torch.zeros(_BINS, dtype=torch.float64)

    def add(self, x: Tensor, activation: FusedActivation | None) -> None:
        """Count the numbers of a tensor, once activated."""
        least, greatest = LIMITS[activation]
        values = x.float().clamp(max(least, self._low), min(greatest, self._high))
        counts = torch.histc(values, _BINS, self._low, self._high)
        self._counts += counts.double().cpu()

    def range(self, method: RangeMethod) -> tuple[float, float]:
        """Return the low and high end that a method chooses; both as counted where all is 0."""
        if not self._high > self._low:
            return self._low, self._high
        return _CHOICES[method](self._centres(), self._counts, self._low, self._high)

    def _centres(self) -> Tensor:
        width = (self._high - self._low) / _BINS
        return self._low + width * (torch.arange(_BINS, dtype=torch.float64) + 0.5)


def _everything(_values: Tensor, _counts: Tensor, low: float, high: float) -> tuple[float, float]:
    return low, high


def _percentile(values: Tensor, counts: Tensor, low: float, high: float) -> tuple[float, float]:
    """0 keeps its code, so an end never comes nearer than 0."""
    below = counts.cumsum(0) / counts.sum()
    first = int((below <= _CLIPPED).sum())
    last = int((below < 1 - _CLIPPED).sum())
    half = (high - low) / len(values) / 2
    least = values[min(first, len(values) - 1)].item() - half
    greatest = values[min(last, len(values) - 1)].item() + half
    return (max(low, least) if low < 0 else low), min(high, greatest)


def _least_squares(values: Tensor, counts: Tensor, low: float, high: float) -> tuple[float, float]:
    """Both ends shrink alike: a share for all, as nothing says which of them is worth more."""
    shares = torch.arange(1, _SHARES + 1, dtype=torch.float64) / _SHARES
    scales = shares * (max(high, 0.0) - min(low, 0.0)) / (INT8_MAX - INT8_MIN)
    zeros = torch.round(INT8_MIN - shares * min(low, 0.0) / scales)
    codes = torch.round(values / scales[:, None]) + zeros[:, None]
    rounded = (codes.clamp(INT8_MIN, INT8_MAX) - zeros[:, None]) * scales[:, None]
    errors = ((rounded - values).square() * counts).sum(1)
    share = shares[errors.argmin()].item()
    return share * low, share * high


_CHOICES: dict[RangeMethod, Callable[[Tensor, Tensor, float, float], tuple[float, float]]] = {
    "minmax": _everything,
    "percentile": _percentile,
    "mse": _least_squares,
}
