"""Images that stay on disk and are decoded by worker processes when they are asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from search_client.data.folders import square_of


class ImageSource(Protocol):
    """Where encoded images are."""

    def encoded(self, index: int) -> tuple[str, bytes]:
        """An image's name, for errors, and its file's content."""


@dataclass(frozen=True)
class Files:
    """One file an image."""

    paths: tuple[str, ...]

    def encoded(self, index: int) -> tuple[str, bytes]:
        """An image's name, for errors, and its file's content."""
        path = self.paths[index]
        return path, Path(path).read_bytes()


@dataclass(frozen=True)
class TarMembers:
    """Members of uncompressed tar files, read at their offsets."""

    shards: tuple[str, ...]
    #: of each image, index into `shards`
    shard: npt.NDArray[np.int32]
    #: bytes from the shard's beginning, and bytes
    offset: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]

    def encoded(self, index: int) -> tuple[str, bytes]:
        """An image's name, for errors, and its file's content."""
        path = self.shards[self.shard[index]]
        with Path(path).open("rb") as shard:
            shard.seek(int(self.offset[index]))
            return f"{path} at byte {self.offset[index]}", shard.read(int(self.size[index]))


class _Decoded(Dataset[Tensor]):
    def __init__(self, source: ImageSource, indices: Tensor, size: int) -> None:
        self.source = source
        self.indices = indices
        self.size = size

    def __getitem__(self, index: int) -> Tensor:
        name, content = self.source.encoded(int(self.indices[index]))
        square = square_of(io.BytesIO(content), name, self.size)
        return torch.from_numpy(square.copy()).permute(2, 0, 1)


@dataclass(frozen=True)
class StoredImages:
    """Labelled images on disk, as `LabelledImages`."""

    source: ImageSource
    #: of these images, index into `source`
    indices: Tensor
    #: int64 [N], index into `classes`
    labels: Tensor
    classes: tuple[str, ...]
    #: side of the decoded squares, px
    size: int
    #: processes that decode; 0: this one
    workers: int

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def subset(self, indices: Tensor) -> Self:
        """The images at some indices."""
        return replace(self, indices=self.indices[indices], labels=self.labels[indices])

    def relabelled(self, labels: Tensor, classes: tuple[str, ...]) -> Self:
        """Return the same images with other labels, int64 [N], of other classes."""
        return replace(self, labels=labels, classes=classes)

    def at_size(self, size: int) -> Self:
        """Return the same images kept at another side, px."""
        return replace(self, size=size)

    def read(self, orders: Sequence[Tensor]) -> Iterator[Tensor]:
        """Images at the indices of each order, uint8 [len(order), 3, S, S], RGB."""
        loader: DataLoader[Tensor] = DataLoader(
            _Decoded(self.source, self.indices, self.size),
            batch_sampler=[order.tolist() for order in orders],
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            # Of its own: torch's is for what the training draws, and a resume reads anew.
            generator=torch.Generator(),
        )
        return iter(loader)
