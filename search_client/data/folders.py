"""Image folders as tensors: `folder/{train,test}/<class>/*.png`, or `folder/<class>/*.png`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, Self, TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from netspec.errors import UserError

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

    def read(self, orders: Sequence[Tensor]) -> Iterator[Tensor]:
        """Images at the indices of each order, uint8 [len(order), 3, S, S], RGB."""


P = TypeVar("P", bound=LabelledImages)


@dataclass(frozen=True)
class ImageSet:
    """Labelled square images in memory."""

    #: uint8 [N, 3, S, S], RGB
    images: Tensor
    #: int64 [N], index into `classes`
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at some indices."""
        return ImageSet(self.images[indices], self.labels[indices], self.classes)

    def relabelled(self, labels: Tensor, classes: tuple[str, ...]) -> ImageSet:
        """Return the same images with other labels, int64 [N], of other classes."""
        return ImageSet(self.images, labels, classes)

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
        return ImageSet(torch.cat(resized), self.labels, self.classes)

    def read(self, orders: Sequence[Tensor]) -> Iterator[Tensor]:
        """Images at the indices of each order, uint8 [len(order), 3, S, S], RGB."""
        for order in orders:
            yield self.images[order]


def stored_size(input_size: int) -> int:
    """Side (px) at which images are kept for a network's input size, with a margin to crop."""
    return round(input_size * MARGIN)


def split_by_class(data: P, fraction: float, seed: int) -> tuple[P, P]:
    """Take a fraction of every class, at least one image of each, out of a set.

    Returns:
        what remains, and what was taken; which images is decided by `seed`.

    Raises:
        UserError: a class has fewer than two images.
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
        shuffled = indices[torch.randperm(len(indices), generator=generator)]
        taken.append(shuffled[:count])
        remaining.append(shuffled[count:])
    return data.subset(torch.cat(remaining)), data.subset(torch.cat(taken))


def read_folder(
    folder: Path, size: int, on_image: Callable[[int, int], None]
) -> tuple[ImageSet, ImageSet]:
    """The training and test images of a data folder.

    Without `train` and `test` (or `val`) folders, its class folders are split, the same way for
    everybody: what one run trained on, no later command may take for test images.

    Args:
        folder: holds the classes, or the parts that do.
        size: side of the stored images, px.
        on_image: called with images read and images in all.

    Raises:
        UserError: the folder has no classes, the parts differ in theirs, or a file is no image.
    """
    if not folder.is_dir():
        raise NoClasses(f"there is no data folder {folder}; {_EXPECTED}")
    parts = parts_of(folder)
    if parts is None:
        files = classes_in(folder)
        everything = _read(files, tuple(files), size, on_image, done=0, total=_count(files))
        return split_by_class(everything, TEST_FRACTION, _SPLIT_SEED)
    train_files, test_files = parts
    classes = tuple(train_files)
    total = _count(train_files) + _count(test_files)
    return (
        _read(train_files, classes, size, on_image, done=0, total=total),
        _read(test_files, classes, size, on_image, done=_count(train_files), total=total),
    )


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


def _count(files: ImageFiles) -> int:
    return sum(len(paths) for paths in files.values())


def _read(
    files: ImageFiles,
    classes: Sequence[str],
    size: int,
    on_image: Callable[[int, int], None],
    *,
    done: int,
    total: int,
) -> ImageSet:
    labelled = [(path, label) for label, name in enumerate(classes) for path in files[name]]
    images = np.empty((len(labelled), size, size, 3), np.uint8)
    with ThreadPoolExecutor() as pool:
        squares = pool.map(lambda entry: read_square(entry[0], size), labelled)
        for index, square in enumerate(squares):
            images[index] = square
            on_image(done + index + 1, total)
    return ImageSet(
        images=torch.from_numpy(images).permute(0, 3, 1, 2),
        labels=torch.tensor([label for _, label in labelled]),
        classes=tuple(classes),
    )


def read_square(path: Path, size: int) -> Square:
    """An image file's central square as uint8 [size, size, 3], RGB.

    Raises:
        UserError: the file is no image that Pillow reads.
    """
    return square_of(path, str(path), size)


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
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{name} is no image ({error}); replace or remove it") from error
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    box = (left, top, left + side, top + side)
    resized = rgb.resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return np.asarray(resized)
