"""Spaces and images that train in milliseconds."""

import torch

from netspec.spaces import Space, Stage
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
