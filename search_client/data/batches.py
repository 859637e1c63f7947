"""Batches of normalised images, augmented for training or cropped for evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from netspec.errors import UserError
from search_client.data.augmentation import USUAL, Augment, augmented
from search_client.data.folders import ImageSet, LabelledImages, stored_size

Batch = tuple[Tensor, Tensor]

#: of the channels R, G, B in [0, 1]. Source: ImageNet.
CHANNEL_MEAN = (0.485, 0.456, 0.406)
CHANNEL_STD = (0.229, 0.224, 0.225)
#: images that are read at a time where they are not trained on: 15 MB at 224 px
_CROPS = 100


class Batches(Protocol):
    """Normalised images [N, 3, H, W] and labels [N]; each iteration is the next epoch."""

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from a given one on: the same whenever asked."""


def normalise(images: Tensor) -> Tensor:
    """Images in 0..255 [N, 3, H, W] as float32 of mean 0 and deviation 1 by channel."""
    mean = torch.tensor(CHANNEL_MEAN, device=images.device).reshape(1, 3, 1, 1)
    std = torch.tensor(CHANNEL_STD, device=images.device).reshape(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def central_crop(images: Tensor, size: int) -> Tensor:
    """The middle [N, 3, size, size] of images, made smaller first where they are stored larger."""
    stored = stored_size(size)
    if images.shape[-1] > stored:
        images = functional.interpolate(
            images.float(), size=(stored, stored), mode="bilinear", antialias=True
        )
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    return images[:, :, top : top + size, left : left + size]


def generator_of(*numbers: int) -> torch.Generator:
    """A generator that depends on the numbers alone: seed, epoch, step, process."""
    (state,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state) >> 1)


class TrainingBatches:
    """Augmented, shuffled batches; what epoch and step give depends on nothing before them.

    Images that do not fill a batch wait for another epoch, unless there are none but them.
    Of several processes each takes its share of one common order.
    """

    def __init__(
        self,
        data: LabelledImages,
        size: int,
        batch_size: int,
        seed: int,
        augment: Augment = USUAL,
        *,
        device: str | torch.device = "cpu",
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """Args as they say; `batch_size` is a process's, `shard` its number and their count."""
        self.data = data
        self.size = size
        self.rank, self.processes = shard
        _check_count(data, self.processes)
        self.batch_size = min(batch_size, len(data) // self.processes)
        self.seed = seed
        self.augment = augment
        self.device = torch.device(device)
        #: epochs that iterating has given
        self.iterations = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.data) // (self.batch_size * self.processes)

    def __iter__(self) -> Iterator[Batch]:
        """The next epoch: images [N, 3, size, size] and labels [N]."""
        self.iterations += 1
        return self.epoch(self.iterations - 1)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """One epoch, from a batch on: images [N, 3, size, size] and labels [N]."""
        order = torch.randperm(len(self.data), generator=generator_of(self.seed, number))
        used = len(self) * self.batch_size * self.processes
        orders = torch.split(order[:used][self.rank :: self.processes], self.batch_size)[start:]
        for step, (images, labels) in enumerate(_read(self.data, orders, self.device), start):
            generator = generator_of(self.seed, number, step, self.rank)
            crops = augmented(images, self.size, generator, self.augment)
            yield normalise(crops), labels


class PlainBatches:
    """Central crops, not augmented: in order, or shuffled anew each epoch where given a seed.

    An image that would be a batch by itself joins the batch before it: BatchNorm cannot normalise
    one image whose map is down to one px by itself, as behind a pooling.
    """

    def __init__(
        self,
        data: LabelledImages,
        size: int,
        batch_size: int,
        shuffle_seed: int | None = None,
        *,
        device: str | torch.device = "cpu",
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """Args as they say; `batch_size` is a process's, `shard` its number and their count."""
        self.data = data
        self.size = size
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        self.device = torch.device(device)
        self.rank, self.processes = shard
        _check_count(data, self.processes)
        #: epochs that iterating has given
        self.iterations = 0

    @property
    def _share(self) -> int:
        # The same for every process, or one would wait for the others for ever.
        return len(self.data) // self.processes

    def __len__(self) -> int:
        """Batches in an epoch."""
        return math.ceil(self._share / self.batch_size) - int(self._leaves_one)

    @property
    def _leaves_one(self) -> bool:
        return self._share > self.batch_size and self._share % self.batch_size == 1

    def __iter__(self) -> Iterator[Batch]:
        """The next epoch: images [N, 3, size, size] and labels [N]."""
        self.iterations += 1
        return self.epoch(self.iterations - 1)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """One epoch, from a batch on; the last batch may be smaller, or larger by one."""
        order = torch.arange(len(self.data))
        if self.shuffle_seed is not None:
            generator = generator_of(self.shuffle_seed, number)
            order = torch.randperm(len(self.data), generator=generator)
        mine = order[self.rank :: self.processes][: self._share]
        orders = torch.split(mine, self.batch_size)
        if self._leaves_one:
            orders = (*orders[:-2], torch.cat(orders[-2:]))
        for images, labels in _read(self.data, orders[start:], self.device):
            yield normalise(central_crop(images, self.size)), labels


class CentralCrops:
    """Images of a set as a network sees them when it is evaluated, as pixels, some at a time."""

    def __init__(self, data: LabelledImages, size: int, most: int | None = None) -> None:
        """Args: the set; the side of the crops, px; how many images at most, spread over all."""
        self.data = data
        self.size = size
        count = len(data) if most is None else min(most, len(data))
        spread = torch.linspace(0, len(data) - 1, count, dtype=torch.float64)
        self._chosen = spread.round().long()

    @classmethod
    def of(cls, images: Tensor, labels: Tensor) -> Self:
        """All of some crops in memory, uint8 [N, 3, S, S], with their labels, int64 [N]."""
        return cls(ImageSet(images, labels, ()), images.shape[-1])

    def __len__(self) -> int:
        """Number of images."""
        return len(self._chosen)

    def __iter__(self) -> Iterator[Batch]:
        """Some images after others, uint8 [N, 3, size, size], and their labels, int64 [N]."""
        for images, labels in self.data.read(torch.split(self._chosen, _CROPS)):
            yield central_crop(images, self.size), labels

    def at(self, index: int) -> Tensor:
        """One image, uint8 [3, size, size]."""
        ((images, _),) = self.data.read([self._chosen[index : index + 1]])
        return central_crop(images, self.size)[0]


def _check_count(data: LabelledImages, processes: int) -> None:
    if len(data) < processes:
        raise UserError(
            f"{len(data)} images are not enough for {processes} processes: each needs one; give "
            "more images, or another held_out"
        )


def _read(data: LabelledImages, orders: Sequence[Tensor], device: torch.device) -> Iterator[Batch]:
    """Images (uint8) and labels on a device, one pair an order."""
    for images, labels in data.read(orders):
        yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
