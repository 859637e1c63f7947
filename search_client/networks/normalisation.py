"""Images normalised in the way that a network was trained on, where it is not the usual one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: of the channels R, G, B
ByChannel = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """(pixel / 255 - mean) / std, by channel."""

    mean: ByChannel
    std: ByChannel


#: images in [-1, 1]. Source: TensorFlow's Inception preprocessing.
INCEPTION = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Renormalise(nn.Module):
    """Images [N, 3, H, W] that were normalised one way, as another one gives them."""

    def __init__(self, given: Normalisation, wanted: Normalisation) -> None:
        super().__init__()
        self.given, self.wanted = given, wanted
        of_given, of_wanted = (
            [torch.tensor(part, dtype=torch.float64) for part in (one.mean, one.std)]
            for one in (given, wanted)
        )
        self.gain: Tensor
        self.offset: Tensor
        gain, offset = of_given[1] / of_wanted[1], (of_given[0] - of_wanted[0]) / of_wanted[1]
        self.register_buffer("gain", gain.float().reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("offset", offset.float().reshape(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same images, normalised as wanted."""
        return x * self.gain + self.offset
