"""Image folders as tensors: `folder/{train,test}/<class>/*.png`, or `folder/<class>/*.png`."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from netspec.errors import UserError
from search_client.data.unreadable import SHARE, UnreadableImages

if TYPE_CHECKING:
    from hashlib import _Hash

Square = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
#: by class, both sorted by name
ImageFiles = dict[str, list[Path]]

SUFFIXES = (".png", ".jpg", ".jpeg")
#: names that the folder of test images may bear
TEST_NAMES = ("test", "val")
#: fraction that becomes the test part of a folder that has none
TEST_FRACTION = 0.2
_SPLIT_SEED = 0
#: images that are made larger or smaller at a time
_RESIZED_AT_ONCE = 500
#: images hashed at a time
_HASHED = 1_000
#: side of a stored image over that of the crop that a network sees. Source: 256 / 224, ImageNet.
MARGIN = 256 / 224


class NoClasses(UserError):
    """A data folder is not laid out as one folder a class."""


class LabelledImages(Protocol):
    """Labelled square images, in memory or read when they are asked for."""

    @property
    def labels(self) -> Tensor:
        """int64 [N], index into `classes`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names."""

    def __len__(self) -> int:
        """Number of images."""

    def subset(self, indices: Tensor) -> Self:
        """The images at some indices."""

    def relabelled(self, labels: Tensor, classes: tuple[str, ...]) -> Self:
        """Return the same images with other labels, int64 [N], of other classes."""

    def at_size(self, size: int) -> Self:
        """Return the same images kept at another side, px."""

    def read(self, orders: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Images at the indices of each order, uint8 [N, 3, S, S], RGB, and their labels [N].

        N is the order's length, less the images that cannot be read.
        """

    def fingerprint(self) -> str:
        """What tells these images and labels from others: how it is made, and a hash (hex)."""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of images that were left out so far, because they cannot be read."""


P = TypeVar("P", bound=LabelledImages)


@dataclass(frozen=True)
class ImageSet:
    """Labelled square images in memory."""

    #: uint8 [N, 3, S, S], RGB
    images: Tensor
    #: int64 [N], index into `classes`
    labels: Tensor
    classes: tuple[str, ...]
    #: names of images that were left out, because they cannot be read
    unreadable: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at some indices."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def relabelled(self, labels: Tensor, classes: tuple[str, ...]) -> ImageSet:
        """Return the same images with other labels, int64 [N], of other classes."""
        return replace(self, labels=labels, classes=classes)

    def at_size(self, size: int) -> ImageSet:
        """Return the same images kept at another side, px."""
        if self.images.shape[-1] == size:
            return self
        resized = [
            functional.interpolate(part.float(), (size, size), mode="bilinear", antialias=True)
            .round_()
            .clamp_(0, 255)
            .to(torch.uint8)
            for part in torch.split(self.images, _RESIZED_AT_ONCE)
        ]
        return replace(self, images=torch.cat(resized))

    def read(self, orders: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Images at the indices of each order, uint8 [N, 3, S, S], RGB, and their labels [N]."""
        for order in orders:
            yield self.images[order], self.labels[order]

    def fingerprint(self) -> str:
        """The SHA-256 of classes, labels and pixels."""
        made = hashed_labels(self.classes, self.labels)
        for part in torch.split(self.images, _HASHED):
            made.update(part.permute(0, 2, 3, 1).contiguous().numpy().data)
        return f"pixels {made.hexdigest()}"


def hashed_labels(classes: tuple[str, ...], labels: Tensor) -> _Hash:
    """A SHA-256 of what a set of images is labelled with, to be continued by the images."""
    made = sha256(repr(classes).encode())
    made.update(labels.contiguous().numpy().data)
    return made


def stored_size(input_size: int) -> int:
    """Side (px) at which images are kept for a network's input size, with a margin to crop."""
    return round(input_size * MARGIN)


def split_by_class(data: P, fraction: float, seed: int, *, last: bool = False) -> tuple[P, P]:
    """Take a fraction of every class, at least one image of each, out of a set.

    Args:
        data: the set.
        fraction: of the images of each class.
        seed: decides which images are taken.
        last: take the last ones of each class instead.

    Returns:
        what remains, and what was taken.

    Raises:
        UserError: a class has fewer than two images, or would keep none.
    """
    generator = torch.Generator().manual_seed(seed)
    taken, remaining = [], []
    for label, name in enumerate(data.classes):
        indices = torch.nonzero(data.labels == label).flatten()
        if len(indices) < 2:  # noqa: PLR2004 - one on each side
            raise UserError(
                f"class {name!r} has {len(indices)} images, but a split needs at least 2; add more"
            )
        count = max(1, round(fraction * len(indices)))
        if count == len(indices):
            fewest = int(torch.bincount(data.labels).min())
            fits = math.floor(1e4 * (fewest - 1) / fewest) / 1e4
            raise UserError(
                f"held_out = {fraction:g} takes all {count} images of class {name!r}, and leaves "
                f"none to train on; at most {fits:g} fits"
            )
        order = torch.randperm(len(indices), generator=generator)
        shuffled = indices.flip(0) if last else indices[order]
        taken.append(shuffled[:count])
        remaining.append(shuffled[count:])
    return data.subset(torch.cat(remaining)), data.subset(torch.cat(taken))


def read_folder(
    folder: Path,
    size: int,
    on_image: Callable[[int, int], None],
    share: float = SHARE,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[ImageSet, ImageSet]:
    """The training and test images of a data folder.

    Without `train` and `test` (or `val`) folders, its class folders are split, the same way for
    everybody: what one run trained on, no later command may take for test images.

    Args:
        folder: holds the classes, or the parts that do.
        size: side of the stored images, px.
        on_image: called with images read and images in all.
        share: of the images that may be unreadable; they are left out.
        tell: hears of each of them.

    Raises:
        UserError: the folder has no classes, the parts differ in theirs, or too many files are no
            images.
    """
    if not folder.is_dir():
        raise NoClasses(f"there is no data folder {folder}; {_EXPECTED}")
    parts = parts_of(folder)
    if parts is None:
        files = classes_in(folder)
        left_out = UnreadableImages(count_of(files), share, tell)
        everything = read_parts([files], size, on_image, left_out)
        return split_by_class(everything[0], TEST_FRACTION, _SPLIT_SEED)
    left_out = UnreadableImages(sum(map(count_of, parts)), share, tell)
    training, test = read_parts(parts, size, on_image, left_out)
    return training, test


_EXPECTED = (
    "expected FOLDER/train/CLASS/*.png and FOLDER/test/CLASS/*.png, or FOLDER/CLASS/*.png, "
    "with 2 classes or more (.png, .jpg or .jpeg)"
)


def test_folder(folder: Path) -> Path | None:
    """The part of a data folder that holds test images."""
    return next((folder / name for name in TEST_NAMES if (folder / name).is_dir()), None)


def parts_of(folder: Path) -> tuple[ImageFiles, ImageFiles] | None:
    """The training and test files of a data folder; None where it has no such parts.

    Raises:
        NoClasses: the parts differ in their classes.
    """
    test = test_folder(folder)
    if test is None or not (folder / "train").is_dir():
        return None
    training, testing = classes_in(folder / "train"), classes_in(test)
    if training.keys() != testing.keys():
        differing = ", ".join(sorted(training.keys() ^ testing.keys()))
        raise NoClasses(
            f"{folder}/train and {test} must hold the same classes, but only one of them has: "
            f"{differing}; move or remove these"
        )
    return training, testing


def class_names(folder: Path) -> tuple[str, ...]:
    """Names of the classes of a data folder, sorted; no image is read.

    Raises:
        NoClasses: there are fewer than two.
    """
    if not folder.is_dir():
        raise NoClasses(f"there is no data folder {folder}; {_EXPECTED}")
    in_parts = test_folder(folder) is not None and (folder / "train").is_dir()
    holder = folder / "train" if in_parts else folder
    names = tuple(
        entry.name
        for entry in sorted(holder.iterdir())
        if entry.is_dir() and any(path.suffix.lower() in SUFFIXES for path in entry.iterdir())
    )
    return names if len(names) > 1 else tuple(classes_in(holder))


def files_by_class(folder: Path) -> ImageFiles:
    """Image files of a folder of classes, sorted; classes without any are left out."""
    files = {
        entry.name: sorted(path for path in entry.iterdir() if path.suffix.lower() in SUFFIXES)
        for entry in sorted(folder.iterdir())
        if entry.is_dir()
    }
    return {name: paths for name, paths in files.items() if paths}


def classes_in(folder: Path) -> ImageFiles:
    """Image files of a folder of two classes or more.

    Raises:
        NoClasses: there are fewer.
    """
    found = files_by_class(folder)
    if len(found) < 2:  # noqa: PLR2004 - nothing to tell apart
        seen = ", ".join(sorted(entry.name for entry in folder.iterdir())[:5]) or "nothing"
        raise NoClasses(
            f"{folder} has {len(found)} classes with images (it holds {seen}); {_EXPECTED}"
        )
    return found


def count_of(files: ImageFiles) -> int:
    """Number of images of all classes."""
    return sum(len(paths) for paths in files.values())


def read_parts(
    parts: Sequence[ImageFiles],
    size: int,
    on_image: Callable[[int, int], None],
    left_out: UnreadableImages,
) -> list[ImageSet]:
    """Read the images of some parts, which have the same classes, into memory.

    Args and errors are those of `read_folder`.
    """
    classes = tuple(parts[0])
    done, total = 0, sum(map(count_of, parts))
    sets = []
    for files in parts:
        labelled = [(path, label) for label, name in enumerate(classes) for path in files[name]]
        images = np.empty((len(labelled), size, size, 3), np.uint8)
        labels: list[int] = []
        before = len(left_out.reasons)
        with ThreadPoolExecutor() as pool:
            squares = pool.map(lambda entry: _square_or_error(entry[0], size), labelled)
            for (path, label), square in zip(labelled, squares, strict=True):
                done += 1
                if isinstance(square, UserError):
                    left_out.add(str(path), str(square))
                else:
                    images[len(labels)] = square
                    labels.append(label)
                on_image(done, total)
        sets.append(
            ImageSet(
                images=torch.from_numpy(images[: len(labels)]).permute(0, 3, 1, 2),
                labels=torch.tensor(labels),
                classes=classes,
                unreadable=tuple(left_out.reasons)[before:],
            )
        )
    return sets


def _square_or_error(path: Path, size: int) -> Square | UserError:
    try:
        return read_square(path, size)
    except UserError as error:
        return error


def read_square(path: Path, size: int) -> Square:
    """An image file's central square as uint8 [size, size, 3], RGB.

    Raises:
        UserError: the file is no image that Pillow reads.
    """
    return square_of(path, str(path), size)


#: what Pillow raises at content that is damaged, by what the damage is
_DAMAGES = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def square_of(source: Path | BinaryIO, name: str, size: int) -> Square:
    """An encoded image's central square as uint8 [size, size, 3], RGB.

    Args:
        source: a file's path or content.
        name: for the error.
        size: px.

    Raises:
        UserError: it is no image that Pillow reads.
    """
    try:
        with Image.open(source) as image:
            rgb = image.convert("RGB")
    except _DAMAGES as error:
        raise UserError(f"{name} is no image ({error}); replace or remove it") from error
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    box = (left, top, left + side, top + side)
    resized = rgb.resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return np.asarray(resized)
