"""Ranges of activations: observed on data, then rounded to with netspec's arithmetic."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from netspec.layers import ActivationRange, FusedActivation
from netspec.quantization import (
    INT8_MAX,
    INT8_MIN,
    INT16_MAX,
    SMALLEST_SCALE,
    affine_of,
    wide_affine_of,
)
from search_client.quantization.calibration.histograms import Histogram
from search_client.quantization.fake_quantize import LIMITS, fake_quantize, no_range
from search_client.quantization.learned_ranges import round_learned

#: weight of a new batch in the moving range. Source: TensorFlow's `moving_average_quantize`
#: keeps 0.999 over many epochs; short finetuning needs a shorter memory.
MOMENTUM = 0.05


class Activations(NamedTuple):
    """What flows between layers: real values, and the int8 codes that they were rounded to."""

    values: Tensor
    #: real = scale * (code - zero_point); None for float32
    scale: Tensor | None = None
    zero_point: Tensor | None = None


def affine_tensors(low: Tensor, high: Tensor, *, wide: bool = False) -> tuple[Tensor, Tensor]:
    """Scale (float32) and zero point (int32) of a range, on its device.

    The same numbers as `netspec.quantization.affine_of`, or `wide_affine_of`, without waiting for
    the device.
    """
    if wide:
        greatest = torch.maximum(-low.double(), high.double())
        scale = (greatest / INT16_MAX).clamp_min(SMALLEST_SCALE).float()
        return scale, torch.zeros_like(scale, dtype=torch.int32)
    low, high = low.double().clamp_max(0.0), high.double().clamp_min(0.0)
    scale = ((high - low) / (INT8_MAX - INT8_MIN)).clamp_min(SMALLEST_SCALE).float()
    zero_point = torch.round(INT8_MIN - low / scale.double()).clamp(INT8_MIN, INT8_MAX)
    return scale, zero_point.int()


@lru_cache(maxsize=4096)
def _affine_of(held: ActivationRange, wide: bool) -> tuple[Tensor, Tensor]:
    """`affine_tensors` in a third of the time; nobody writes to what it returns."""
    affine = wide_affine_of(held) if wide else affine_of(held)
    scale = torch.tensor(affine.scale, dtype=torch.float32)
    return scale, torch.tensor(affine.zero_point, dtype=torch.int32)


class FakeQuantizedActivation(nn.Module):
    """Activates, and rounds to the int8 codes of its range; in train mode the range follows.

    The range is an exponential moving average of each batch's minimum and maximum, after
    the activation. It stays in evaluation mode and after `freeze`.
    """

    def __init__(self, activation: FusedActivation | None = None) -> None:
        super().__init__()
        self.activation = activation
        self.frozen = False
        #: whether codes are int16, symmetric around 0
        self.wide = False
        #: whether the range is a parameter
        self.learned = False
        #: counts what is observed, in place of moving the range
        self.histogram: Histogram | None = None
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", torch.tensor(torch.nan))
        self.register_buffer("high", torch.tensor(torch.nan))

    @classmethod
    def fixed(cls, held: ActivationRange) -> Self:
        """A range that no batch moves."""
        module = cls()
        module.low.fill_(held.low)
        module.high.fill_(held.high)
        module.freeze()
        return module

    def freeze(self) -> None:
        """Keep the range from now on."""
        self.frozen = True

    def learn(self) -> None:
        """Have an optimizer move the range from now on; no batch and no `freeze` does any more."""
        low, high = self.low.detach(), self.high.detach()
        del self.low, self.high
        self.low, self.high = nn.Parameter(low), nn.Parameter(high)
        self.learned = True

    @torch.no_grad()
    def settle(self) -> None:
        """End learning: keep what was learned, within what the activation gives."""
        if not self.learned:
            return
        held, device = self.observed(), self.low.device
        del self.low, self.high
        self.register_buffer("low", torch.tensor(held.low, device=device))
        self.register_buffer("high", torch.tensor(held.high, device=device))
        self.learned, self.frozen = False, True

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Move the range towards that of `x`, once activated; the first `x` sets it."""
        # Flat in memory's own order: a reduction over strides takes five times as long.
        flat = x.permute(0, 2, 3, 1) if x.ndim == 4 else x  # noqa: PLR2004 - an image
        low, high = (end.clamp(*LIMITS[self.activation]) for end in torch.aminmax(flat.reshape(-1)))
        first = self.low.isnan()
        self.low.copy_(torch.where(first, low, self.low.lerp(low, MOMENTUM)))
        self.high.copy_(torch.where(first, high, self.high.lerp(high, MOMENTUM)))

    def forward(self, x: Tensor) -> Activations:
        """`x`, activated, as int8 represents it.

        Gradients pass where neither the activation nor the range saturates.
        """
        if self.learned:
            return self._learned(x)
        if self.training and not self.frozen:
            if self.histogram is None:
                self.observe(x)
            else:
                self.histogram.add(x, self.activation)
        scale, zero_point = self._affine()
        rounded = fake_quantize(x, scale, zero_point, self.activation, wide=self.wide)
        return Activations(rounded, scale, zero_point)

    def _affine(self) -> tuple[Tensor, Tensor]:
        if self.low.device.type != "cpu":
            return affine_tensors(self.low, self.high, wide=self.wide)
        return _affine_of(self.observed(), self.wide)

    def _learned(self, x: Tensor) -> Activations:
        least, greatest = LIMITS[self.activation]
        # 0 has a code, and a file's activation saturates whatever the range.
        low = self.low.clamp(max(least, -torch.finfo(x.dtype).max), 0.0)
        high = self.high.clamp(0.0, min(greatest, torch.finfo(x.dtype).max))
        scale, zero_point = affine_tensors(low.detach(), high.detach())
        rounded = round_learned(x, (low, high), (scale, zero_point), self.activation)
        return Activations(rounded, scale, zero_point)

    def observed(self) -> ActivationRange:
        """The range, widened to hold 0.

        Raises:
            NotFinite: nothing was observed, or what is no finite number.
        """
        least, greatest = LIMITS[self.activation] if self.learned else LIMITS[None]
        low, high = max(self.low.item(), least), min(self.high.item(), greatest)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise no_range()
        return ActivationRange(min(low, 0.0), max(high, 0.0))
