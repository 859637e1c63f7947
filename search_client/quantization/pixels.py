"""int8 files take pixels: the normalisation of images is folded into the stem.

A file's input code is the pixel less 128 (int8) or the pixel itself (uint8), so that
an app copies bytes and multiplies nothing. One tensor has one scale, but normalisation has a
mean and a deviation for each colour. So the input stands for (pixel - `zero`) * `step`,
which is nearly normalised, and the rest of the mean and deviation is folded into weight and
BatchNorm of the stem. At the border, where the stem pads with the real 0, that is the grey
`zero` in place of the mean colour: finetuning sees it as the file does.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from netspec.layers import ActivationRange
from netspec.quantization import affine_of, wide_affine_of
from search_client.data.batches import CHANNEL_MEAN, CHANNEL_STD
from search_client.networks.normalisation import ByChannel, Normalisation
from search_client.quantization.fake_quantize import fake_quantize
from search_client.quantization.ranges import Activations

PIXEL_MAX = 255
#: as batches are normalised
USUAL = Normalisation(CHANNEL_MEAN, CHANNEL_STD)


class PixelInput(nn.Module):
    """Images [N, 3, H, W], normalised as usual, as the codes of pixels stand for them."""

    def __init__(self, normalisation: Normalisation = USUAL) -> None:
        """For a network that was trained on images normalised in that way."""
        super().__init__()
        self.normalisation = normalisation
        #: the pixel that stands for 0, nearest to the mean of the mean colour
        self.zero = round(PIXEL_MAX * float(np.mean(normalisation.mean)))
        std = PIXEL_MAX * float(np.mean(normalisation.std))
        #: of the file's input: its 256 codes are the 256 pixels
        self.range = ActivationRange(-self.zero / std, (PIXEL_MAX - self.zero) / std)
        self._affine = affine_of(self.range)
        #: whether codes are int16, of images that are normalised as `taken` says
        self.wide = False
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", _by_channel(CHANNEL_MEAN), persistent=False)
        self.register_buffer("std", _by_channel(CHANNEL_STD), persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Activations:
        """The nearest pixels."""
        pixels = x.mul(self.std).add_(self.mean).mul_(PIXEL_MAX).round_().clamp_(0, PIXEL_MAX)
        real = pixels.sub_(self.zero).mul_(self.step)
        if self.wide:
            scale = torch.tensor(wide_affine_of(self.range).scale, device=x.device)
            zero = torch.zeros((), dtype=torch.int32, device=x.device)
            return Activations(fake_quantize(real, scale, zero, wide=True), scale, zero)
        return Activations(
            real,
            torch.tensor(self.step, device=x.device),
            torch.tensor(self._affine.zero_point, dtype=torch.int32, device=x.device),
        )

    @property
    def step(self) -> float:
        """What one pixel more stands for."""
        return self._affine.scale

    @property
    def taken(self) -> Normalisation:
        """The normalisation that gives what codes stand for: (pixel - `zero`) * `step`."""
        mean, std = self.zero / PIXEL_MAX, 1 / (PIXEL_MAX * self.step)
        return Normalisation((mean, mean, mean), (std, std, std))

    @torch.no_grad()
    def fold_normalisation(self, weight: Tensor, norm: nn.BatchNorm2d) -> None:
        """Let a stem that was trained on normalised images take these, in place.

        Args:
            weight: [O, 3, k, k]
            norm: its BatchNorm; what the mean colour adds to every output leaves its mean.
        """
        mean, std = (
            _by_channel(part).double() for part in (self.normalisation.mean, self.normalisation.std)
        )
        offset = ((self.zero / PIXEL_MAX - mean) / std).to(weight.device)
        constant = (weight.double() * offset).sum((1, 2, 3))
        if norm.running_mean is not None:
            norm.running_mean.sub_(constant)
        weight.mul_((1 / (PIXEL_MAX * std * self.step)).to(weight))


def _by_channel(values: ByChannel) -> Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)
