"""Images that stay on disk and are decoded by threads when they are asked for."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

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


#: batches that are decoded while one is trained on
_AHEAD = 2
#: an image's name, and why it cannot be read
_Unreadable = tuple[str, str]
#: a batch being filled, uint8 [N, 3, S, S], and what comes of each of its images
_Decoding = tuple[Tensor, Iterator[_Unreadable | None]]


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
    #: threads that decode; 0: the one that asks
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
        with ThreadPoolExecutor(self.workers or 1) as pool:
            run = pool.map if self.workers else map
            decodings = (self._decoding(order, run) for order in orders)
            try:
                for order, (images, outcomes) in zip(orders, _ahead(decodings), strict=True):
                    errors = list(outcomes)
                    bad = [error for error in errors if error is not None]
                    for name, why in bad:
                        self.left_out.add(name, why)
                    if len(bad) == len(errors):
                        raise UserError(
                            f"no image of a batch can be read, as {bad[0][1]}; replace them"
                        )
                    good = torch.tensor([error is None for error in errors])
                    yield (images[good] if bad else images), self.labels[order[good]]
            finally:
                pool.shutdown(cancel_futures=True)

    def _decoding(
        self, order: Tensor, run: Callable[..., Iterator[_Unreadable | None]]
    ) -> _Decoding:
        shape = (len(order), 3, self.size, self.size)
        batch = torch.empty(shape, dtype=torch.uint8, pin_memory=torch.cuda.is_available())
        return batch, run(self._decode, self.indices[order].tolist(), batch.numpy())

    def _decode(self, place: int, into: npt.NDArray[np.uint8]) -> _Unreadable | None:
        """Write an image into its part of a batch, if it can be read."""
        name = self.source.name(place)
        try:
            square = square_of(io.BytesIO(self.source.content(place)), name, self.size)
        except UserError as error:
            return name, str(error)
        except OSError as error:
            return name, f"{name} cannot be read ({error})"
        into[:] = square.transpose(2, 0, 1)
        return None


def _ahead(decodings: Iterator[_Decoding]) -> Iterator[_Decoding]:
    """Return the same ones, each when `_AHEAD` more have begun."""
    begun = deque(islice(decodings, _AHEAD))
    while begun:
        begun.extend(islice(decodings, 1))
        yield begun.popleft()


def stored_files(
    files: ImageFiles, size: int, workers: int, left_out: UnreadableImages
) -> StoredImages:
    """Image files by class, left on disk; args as `StoredImages` says."""
    paths = tuple(str(path) for held in files.values() for path in held)
    labels = torch.tensor([label for label, held in enumerate(files.values()) for _ in held])
    indices = torch.arange(len(paths))
    return StoredImages(Files(paths), indices, labels, tuple(files), size, workers, left_out)
