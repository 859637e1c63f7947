"""Batches of normalised images, augmented for training or cropped for evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from search_client.images import ImageSet
from search_client.steps import Batch

#: of the channels R, G, B in [0, 1]. Source: ImageNet.
CHANNEL_MEAN = (0.485, 0.456, 0.406)
CHANNEL_STD = (0.229, 0.224, 0.225)

#: least area of a random crop, as a fraction of the stored image
LEAST_AREA = 0.35
#: greatest ratio of a random crop's sides
GREATEST_ASPECT = 4 / 3
#: greatest relative change of brightness and of contrast
JITTER = 0.2


def normalise(images: Tensor) -> Tensor:
    """Images in 0..255 [N, 3, H, W] as float32 of mean 0 and deviation 1 by channel."""
    mean = torch.tensor(CHANNEL_MEAN).reshape(1, 3, 1, 1)
    std = torch.tensor(CHANNEL_STD).reshape(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def central_crop(images: Tensor, size: int) -> Tensor:
    """The middle [N, 3, size, size] of images."""
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    return images[:, :, top : top + size, left : left + size]


def augment(images: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A random crop of each image, resized to [N, 3, size, size] in 0..255.

    Area, aspect, place, horizontal flip, brightness and contrast are drawn for each image.
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    area = uniform(LEAST_AREA, 1.0).sqrt()
    aspect = torch.exp(uniform(-math.log(GREATEST_ASPECT), math.log(GREATEST_ASPECT)) / 2)
    width, height = (area * aspect).clamp_max(1.0), (area / aspect).clamp_max(1.0)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)  # noqa: PLR2004 - a fair coin
    zero = torch.zeros(count)
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
    brightness = uniform(1 - JITTER, 1 + JITTER).reshape(-1, 1, 1, 1)
    contrast = uniform(1 - JITTER, 1 + JITTER).reshape(-1, 1, 1, 1)
    grey = crops.mean((1, 2, 3), keepdim=True)
    return ((crops - grey).mul_(contrast).add_(grey * brightness)).clamp_(0, 255)


class TrainingBatches:
    """Augmented, shuffled batches; every iteration is another epoch of the same seed's stream.

    Images that do not fill a batch wait for another epoch, unless there are none but them.
    """

    def __init__(self, data: ImageSet, size: int, batch_size: int, seed: int) -> None:
        self.data = data
        self.size = size
        self.batch_size = min(batch_size, len(data))
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.data) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        """One epoch: images [N, 3, size, size] and labels [N]."""
        order = torch.randperm(len(self.data), generator=self.generator)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            crops = augment(self.data.images[chosen], self.size, self.generator)
            yield normalise(crops), self.data.labels[chosen]


class PlainBatches:
    """Central crops, not augmented: in order, or shuffled anew each epoch where given a seed."""

    def __init__(
        self, data: ImageSet, size: int, batch_size: int, shuffle_seed: int | None = None
    ) -> None:
        self.data = data
        self.size = size
        self.batch_size = batch_size
        self.generator = (
            None if shuffle_seed is None else torch.Generator().manual_seed(shuffle_seed)
        )

    def __len__(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.data) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """One epoch: images [N, 3, size, size] and labels [N]; the last batch may be smaller."""
        order = torch.arange(len(self.data))
        if self.generator is not None:
            order = torch.randperm(len(self.data), generator=self.generator)
        for chosen in torch.split(order, self.batch_size):
            crops = central_crop(self.data.images[chosen], self.size)
            yield normalise(crops), self.data.labels[chosen]
