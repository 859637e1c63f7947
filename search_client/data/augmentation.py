"""How training images are changed: a crop, a flip and colours, drawn anew for each image."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from netspec.validation import FrozenModel

#: greatest ratio of a random crop's sides
GREATEST_ASPECT = 4 / 3


class Augment(FrozenModel):
    """How far training images may be changed; half of them are flipped, too."""

    least_area: float = Field(
        default=0.35, gt=0, le=1, description="of a crop, as a fraction of the stored image"
    )
    brightness: float = Field(default=0.2, ge=0, le=1, description="greatest relative change")
    contrast: float = Field(default=0.2, ge=0, le=1, description="greatest relative change")
    saturation: float = Field(default=0.0, ge=0, le=1, description="greatest relative change")
    hue: float = Field(
        default=0.0, ge=0, le=0.5, description="greatest turn around the circle of hues, in turns"
    )


#: where nobody says otherwise
USUAL = Augment()


def augmented(
    images: Tensor, size: int, generator: torch.Generator, augment: Augment = USUAL
) -> Tensor:
    """A random crop of each image, resized to [N, 3, size, size] in 0..255.

    Area, aspect, place, horizontal flip and colours are drawn for each image, on the CPU; the
    images may be on a GPU.
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        drawn = low + (high - low) * torch.rand(count, generator=generator)
        return drawn.to(images.device)

    area = uniform(augment.least_area, 1.0).sqrt()
    aspect = torch.exp(uniform(-math.log(GREATEST_ASPECT), math.log(GREATEST_ASPECT)) / 2)
    width, height = (area * aspect).clamp_max(1.0), (area / aspect).clamp_max(1.0)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)  # noqa: PLR2004 - a fair coin
    zero = torch.zeros(count, device=images.device)
    # rows of x and y: output coordinates in [-1, 1] to those of the stored image
    transform = torch.stack(
        [
            torch.stack([width * flip, zero, (1 - width) * uniform(-1, 1)], dim=1),
            torch.stack([zero, height, (1 - height) * uniform(-1, 1)], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(transform, [count, 3, size, size], align_corners=False)
    crops = functional.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    brightness = uniform(1 - augment.brightness, 1 + augment.brightness).reshape(-1, 1, 1, 1)
    contrast = uniform(1 - augment.contrast, 1 + augment.contrast).reshape(-1, 1, 1, 1)
    grey = crops.mean((1, 2, 3), keepdim=True)
    crops = (crops - grey).mul_(contrast).add_(grey * brightness)
    if augment.saturation > 0 or augment.hue > 0:
        saturation = uniform(1 - augment.saturation, 1 + augment.saturation)
        crops = _coloured(crops, saturation, uniform(-augment.hue, augment.hue))
    return crops.clamp_(0, 255)


def _coloured(images: Tensor, saturation: Tensor, turns: Tensor) -> Tensor:
    """Colours [N, 3, H, W] stretched and turned around the grey axis, each image by its own.

    A turn around (1, 1, 1) keeps the mean of the three colours. Source: Rodrigues' formula.
    """
    identity = torch.eye(3, device=images.device)
    grey = torch.full((3, 3), 1 / 3, device=images.device)
    across = torch.tensor(
        [[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=images.device
    ) / math.sqrt(3)
    angle = (2 * math.pi * turns).reshape(-1, 1, 1)
    turned = torch.cos(angle) * (identity - grey) + torch.sin(angle) * across
    matrix = grey + saturation.reshape(-1, 1, 1) * turned
    return torch.einsum("nij,njhw->nihw", matrix, images)
