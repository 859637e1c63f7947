"""int8 files take pixels: the normalisation of images is folded into the stem.

A file's input code is the pixel less 128 (int8) or the pixel itself (uint8), so that
an app copies bytes and multiplies nothing. One tensor has one scale, but normalisation has a
mean and a deviation for each colour. So the input stands for (pixel - `PIXEL_ZERO`) * `STEP`,
which is nearly normalised, and the rest of the mean and deviation is folded into weight and
BatchNorm of the stem. At the border, where the stem pads with the real 0, that is the grey
`PIXEL_ZERO` in place of the mean colour: finetuning sees it as the file does.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from netspec.layers import ActivationRange
from netspec.quantization import affine_of
from search_client.data.batches import CHANNEL_MEAN, CHANNEL_STD
from search_client.quantization.ranges import Activations

PIXEL_MAX = 255
#: the pixel that stands for 0, nearest to the mean of the mean colour
PIXEL_ZERO = round(PIXEL_MAX * float(np.mean(CHANNEL_MEAN)))
_STD = float(np.mean(CHANNEL_STD))
#: range of the file's input: its 256 codes are the 256 pixels
PIXEL_RANGE = ActivationRange(
    -PIXEL_ZERO / (PIXEL_MAX * _STD), (PIXEL_MAX - PIXEL_ZERO) / (PIXEL_MAX * _STD)
)
_AFFINE = affine_of(PIXEL_RANGE)
STEP = _AFFINE.scale


class PixelInput(nn.Module):
    """Normalised images [N, 3, H, W], as the codes of pixels stand for them."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", _by_channel(CHANNEL_MEAN), persistent=False)
        self.register_buffer("std", _by_channel(CHANNEL_STD), persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Activations:
        """The nearest pixels."""
        pixels = x.mul(self.std).add_(self.mean).mul_(PIXEL_MAX).round_().clamp_(0, PIXEL_MAX)
        return Activations(
            pixels.sub_(PIXEL_ZERO).mul_(STEP),
            torch.tensor(STEP, device=x.device),
            torch.tensor(_AFFINE.zero_point, dtype=torch.int32, device=x.device),
        )


def _by_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)


@torch.no_grad()
def fold_normalisation(weight: Tensor, norm: nn.BatchNorm2d) -> None:
    """Let a stem that was trained on normalised images take `PixelInput`, in place.

    Args:
        weight: [O, 3, k, k]
        norm: its BatchNorm; what the mean colour adds to every output leaves its mean.
    """
    mean, std = _by_channel(CHANNEL_MEAN).double(), _by_channel(CHANNEL_STD).double()
    offset = ((PIXEL_ZERO / PIXEL_MAX - mean) / std).to(weight.device)
    constant = (weight.double() * offset).sum((1, 2, 3))
    if norm.running_mean is not None:
        norm.running_mean.sub_(constant)
    weight.mul_((1 / (PIXEL_MAX * std * STEP)).to(weight))
