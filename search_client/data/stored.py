"""Images that stay on disk and are decoded by worker processes when they are asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from netspec.errors import UserError
from search_client.data.folders import ImageFiles, hashed_labels, square_of
from search_client.data.unreadable import UnreadableImages

if TYPE_CHECKING:
    from hashlib import _Hash


class ImageSource(Protocol):
    """Where encoded images are."""

    def name(self, index: int) -> str:
        """An image's name, for errors."""

    def content(self, index: int) -> bytes:
        """An image as it is encoded."""

    def hash_into(self, made: _Hash) -> None:
        """Go on with a hash by what the images are called and how large they are."""


@dataclass(frozen=True)
class Files:
    """One file an image."""

    paths: tuple[str, ...]

    def name(self, index: int) -> str:
        """An image's name, for errors."""
        return self.paths[index]

    def content(self, index: int) -> bytes:
        """An image as it is encoded."""
        return Path(self.paths[index]).read_bytes()

    def hash_into(self, made: _Hash) -> None:
        """Go on with a hash by class folders, file names and sizes, wherever the folder lies."""
        for name in self.paths:
            path = Path(name)
            size = path.stat().st_size if path.is_file() else -1
            made.update(f"{path.parent.name}/{path.name} {size}\n".encode())


@dataclass(frozen=True)
class TarMembers:
    """Members of uncompressed tar files, read at their offsets."""

    shards: tuple[str, ...]
    #: of each image, index into `shards`
    shard: npt.NDArray[np.int32]
    #: bytes from the shard's beginning, and bytes
    offset: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]

    def name(self, index: int) -> str:
        """An image's name, for errors."""
        return f"{self.shards[self.shard[index]]} at byte {self.offset[index]}"

    def content(self, index: int) -> bytes:
        """An image as it is encoded."""
        with Path(self.shards[self.shard[index]]).open("rb") as shard:
            shard.seek(int(self.offset[index]))
            return shard.read(int(self.size[index]))

    def hash_into(self, made: _Hash) -> None:
        """Go on with a hash by shards, offsets and sizes."""
        made.update(repr([Path(path).name for path in self.shards]).encode())
        for table in (self.shard, self.offset, self.size):
            made.update(np.ascontiguousarray(table).data)


#: of a batch: images, their indices, and of each that cannot be read its name and why
_Decoding = tuple[Tensor, Tensor, list[tuple[str, str]]]


class _Decoded(Dataset[tuple[int, Tensor | tuple[str, str]]]):
    """Decoded images by index; in place of what cannot be read its name and why."""

    def __init__(self, source: ImageSource, indices: Tensor, size: int) -> None:
        self.source = source
        self.indices = indices
        self.size = size

    def __getitem__(self, index: int) -> tuple[int, Tensor | tuple[str, str]]:
        place = int(self.indices[index])
        name = self.source.name(place)
        try:
            square = square_of(io.BytesIO(self.source.content(place)), name, self.size)
        except UserError as error:
            return index, (name, str(error))
        except OSError as error:
            return index, (name, f"{name} cannot be read ({error})")
        return index, torch.from_numpy(square.copy()).permute(2, 0, 1)

    def batch(self, images: Sequence[tuple[int, Tensor | tuple[str, str]]]) -> _Decoding:
        """One batch of them."""
        good = [(index, image) for index, image in images if isinstance(image, Tensor)]
        bad = [image for _, image in images if isinstance(image, tuple)]
        if not good:
            return torch.empty(0, 3, self.size, self.size, dtype=torch.uint8), torch.empty(0), bad
        return torch.stack([image for _, image in good]), torch.tensor([i for i, _ in good]), bad


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
    #: counts what cannot be read, in all subsets together
    left_out: UnreadableImages

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

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of images that were left out so far, because they cannot be read."""
        return tuple(self.left_out.reasons)

    def fingerprint(self) -> str:
        """The SHA-256 of classes, labels, and of what the files are called and how large."""
        made = hashed_labels(self.classes, self.labels)
        made.update(self.indices.contiguous().numpy().data)
        self.source.hash_into(made)
        return f"files {made.hexdigest()}"

    def read(self, orders: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Images at the indices of each order, uint8 [N, 3, S, S], RGB, and their labels [N].

        Raises:
            UserError: too many images cannot be read, or all of one order.
        """
        images = _Decoded(self.source, self.indices, self.size)
        loader: DataLoader[_Decoding] = DataLoader(
            cast("Dataset[_Decoding]", images),
            batch_sampler=[order.tolist() for order in orders],
            num_workers=self.workers,
            collate_fn=images.batch,
            pin_memory=torch.cuda.is_available(),
            # Of its own: torch's is for what the training draws, and a resume reads anew.
            generator=torch.Generator(),
        )
        for good, indices, bad in loader:
            for name, why in bad:
                self.left_out.add(name, why)
            if not len(good):
                raise UserError(f"no image of a batch can be read, as {bad[0][1]}; replace them")
            yield good, self.labels[indices]


def stored_files(
    files: ImageFiles, size: int, workers: int, left_out: UnreadableImages
) -> StoredImages:
    """Image files by class, left on disk; args as `StoredImages` says."""
    paths = tuple(str(path) for held in files.values() for path in held)
    labels = torch.tensor([label for label, held in enumerate(files.values()) for _ in held])
    indices = torch.arange(len(paths))
    return StoredImages(Files(paths), indices, labels, tuple(files), size, workers, left_out)
