"""A run's images: read into memory where they fit, else decoded as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netspec.errors import UserError
from search_client.data.folders import (
    LabelledImages,
    class_names,
    classes_in,
    count_of,
    parts_of,
    read_folder,
    read_parts,
    stored_size,
    test_folder,
)
from search_client.data.stored import StoredImages, stored_files
from search_client.data.unreadable import SHARE, UnreadableImages
from search_client.data.webdataset import has_shards, read_shards, read_test_shards
from search_client.progress import Stages
from search_client.recipe import MEMORY_GB, WORKERS, Recipe


@dataclass(frozen=True)
class FoundData:
    """A run's images, found but not read yet."""

    classes: tuple[str, ...]
    #: gives the training and test images
    read: Callable[[], tuple[LabelledImages, LabelledImages]]


def find_data(data: Path, settings: Recipe, stages: Stages) -> FoundData:
    """What a folder holds, so that all else a run needs can be seen to before images are read.

    Raises:
        UserError: the folder holds no classes, or shards that cannot be read.
    """
    read = partial(read_data, data, settings, stages)
    if has_shards(data):
        # To read shards is to look for their images: these stay where they are.
        parts = read()
        return FoundData(parts[0].classes, lambda: parts)
    return FoundData(class_names(data), read)


def read_data(
    data: Path, settings: Recipe, stages: Stages, classes: Sequence[str] = ()
) -> tuple[LabelledImages, LabelledImages]:
    """The training and test images of a run.

    Args:
        data: folder of images, or of WebDataset shards.
        settings: of the run.
        stages: shows the progress.
        classes: that the images must have; none: any.

    Raises:
        UserError: the folder cannot be read as images, or has other classes.
    """
    training, test = read_images(
        data,
        settings.input_size,
        stages,
        workers=settings.workers,
        memory_gb=settings.memory_gb,
        unreadable_share=settings.unreadable_share,
    )
    if classes and training.classes != tuple(classes):
        raise UserError(
            f"{data} has the classes {', '.join(training.classes)}, but the search was made on "
            f"{', '.join(classes)}; give the same data"
        )
    return training, test


def read_images(
    data: Path,
    input_size: int,
    stages: Stages,
    *,
    workers: int = WORKERS,
    memory_gb: float = MEMORY_GB,
    unreadable_share: float = SHARE,
) -> tuple[LabelledImages, LabelledImages]:
    """The training and test images of a folder, stored for an input size (px).

    Args:
        data: folder of images, or of WebDataset shards.
        input_size: of the network, px.
        stages: shows the progress.
        workers: threads that decode images which are not kept in memory.
        memory_gb: images are kept in memory where all of them take at most so many GB.
        unreadable_share: of the images that may be unreadable; each is told, and left out.

    Raises:
        UserError: the folder cannot be read as images.
    """
    size = stored_size(input_size)
    with stages.stage("data", f"Read images from {data}"):
        if has_shards(data):
            return read_shards(data, size, workers, unreadable_share, stages.note)
        if _bytes(data, size) > memory_gb * 1e9:
            return stored_folder(data, size, workers, unreadable_share, stages.note)
        with stages.bar("images") as advance:
            return read_folder(data, size, advance, unreadable_share, stages.note)


def read_test_images(
    data: Path,
    input_size: int,
    stages: Stages,
    *,
    workers: int = WORKERS,
    memory_gb: float = MEMORY_GB,
    unreadable_share: float = SHARE,
) -> LabelledImages:
    """The test images that `read_images` gives; a folder may also hold its test part alone.

    Images to train on are read only where they are to be split off. Args and errors are those of
    `read_images`.
    """
    size = stored_size(input_size)
    with stages.stage("data", f"Read test images from {data}"):
        if has_shards(data):
            return read_test_shards(data, size, workers, unreadable_share, stages.note)
        folder, parts = test_folder(data), parts_of(data)
        if folder is None:
            with stages.bar("images") as advance:
                return read_folder(data, size, advance, unreadable_share, stages.note)[1]
        files = classes_in(folder) if parts is None else parts[1]
        left_out = UnreadableImages(count_of(files), unreadable_share, stages.note)
        if 3 * size**2 * count_of(files) > memory_gb * 1e9:
            return stored_files(files, size, workers, left_out)
        with stages.bar("images") as advance:
            return read_parts([files], size, advance, left_out)[0]


def stored_folder(
    folder: Path, size: int, workers: int, share: float, tell: Callable[[str], None]
) -> tuple[StoredImages, StoredImages]:
    """The images of a folder with `train` and `test` (or `val`), left on disk.

    At most a share of them may be unreadable; `tell` hears of each.

    Raises:
        UserError: the folder is laid out otherwise.
    """
    parts = parts_of(folder)
    if parts is None:
        raise UserError(
            f"{folder} holds more images than memory_gb has room for; such folders need the "
            "parts train and test (or val)"
        )
    left_out = UnreadableImages(sum(map(count_of, parts)), share, tell)
    training, test = (stored_files(part, size, workers, left_out) for part in parts)
    return training, test


def _bytes(folder: Path, size: int) -> int:
    """That the images of a folder take in memory."""
    files = sum(1 for path in folder.rglob("*") if path.suffix)
    return files * 3 * size * size
