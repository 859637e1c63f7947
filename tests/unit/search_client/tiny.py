"""Spaces and images that train in milliseconds."""

from collections.abc import Iterator

import torch

from netspec.spaces import Space, Stage
from search_client.data.batches import Batch, TrainingBatches
from search_client.data.folders import ImageSet


def tiny_space(classes: int = 3) -> Space:
    """Two blocks at 16 px: one with 6 candidates, one with 6 candidates and Zero."""
    return Space(
        input_size=16,
        width=0.25,
        classes=classes,
        stages=(Stage(channels=24, depth=2, stride=2),),
    )


def tiny_images(count: int, classes: int = 3, seed: int = 0) -> ImageSet:
    """Images of 18 px whose class is a colour, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    colours = torch.eye(3)[labels % 3] * 120
    noise = torch.rand(count, 3, 18, 18, generator=generator) * 120
    images = (colours[:, :, None, None] + noise).to(torch.uint8)
    return ImageSet(images, labels, tuple(f"class {label}" for label in range(classes)))


class BreakingBatches:
    """Three batches an epoch; at first, the second one of the second epoch is no numbers."""

    def __init__(self, times: int) -> None:
        self._whole = TrainingBatches(tiny_images(48), 16, 16, seed=0)
        self._left = times

    def __len__(self) -> int:
        return len(self._whole)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._whole)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        for step, (images, labels) in enumerate(self._whole.epoch(number, start), start):
            broken = (number, step) == (1, 1) and self._left > 0
            self._left -= int(broken)
            yield (images * torch.nan if broken else images), labels
