"""WebDataset shards: tar files in which `key.jpg` and `key.cls` are one labelled image.

They are indexed once and then read at random: an epoch is a shuffle of all images, a resume
finds its place, and the held-out part is balanced by class, as with a folder.
Source: the WebDataset format, https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from netspec.errors import UserError
from search_client.data.folders import SUFFIXES, TEST_NAMES
from search_client.data.stored import StoredImages, TarMembers
from search_client.data.unreadable import SHARE, UnreadableImages

#: file of class names, one a line, in the order of the labels
CLASSES = "classes.txt"


def shards_in(folder: Path, part: str) -> list[Path]:
    """A part's shards: `part-*.tar`, sorted."""
    return sorted(folder.glob(f"{part}-*.tar"))


def has_shards(folder: Path) -> bool:
    """Whether a data folder holds shards, be they of test images alone."""
    return any(shards_in(folder, part) for part in ("train", *TEST_NAMES))


def read_shards(
    folder: Path,
    size: int,
    workers: int,
    share: float = SHARE,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[StoredImages, StoredImages]:
    """The training and test images of a folder of `train-*.tar` and `test-*.tar` (or `val-*`).

    Args:
        folder: holds the shards, and `classes.txt` where the classes have names.
        size: side of the decoded squares, px.
        workers: threads that decode.
        share: of the images that may be unreadable; they are left out.
        tell: hears of each of them.

    Raises:
        UserError: a shard is no tar file, an image has no label, or a part is missing.
    """
    training_shards = shards_in(folder, "train")
    if not training_shards:
        raise UserError(f"{folder} has shards of test images but no train-*.tar; add one")
    parts = [_index(shards) for shards in (training_shards, _test_shards(folder))]
    classes = _classes(folder, 1 + max(max(labels) for _, labels in parts))
    left_out = UnreadableImages(sum(len(labels) for _, labels in parts), share, tell)
    training, testing = (
        _stored(places, labels, classes, size, workers, left_out) for places, labels in parts
    )
    return training, testing


def read_test_shards(
    folder: Path,
    size: int,
    workers: int,
    share: float = SHARE,
    tell: Callable[[str], None] = lambda _: None,
) -> StoredImages:
    """The test images of a folder as `read_shards` gives them.

    Shards of training images are looked at only where no `classes.txt` says what classes there are.
    """
    if not (folder / CLASSES).is_file() and shards_in(folder, "train"):
        return read_shards(folder, size, workers, share, tell)[1]
    places, labels = _index(_test_shards(folder))
    left_out = UnreadableImages(len(labels), share, tell)
    return _stored(places, labels, _classes(folder, 1 + max(labels)), size, workers, left_out)


def _test_shards(folder: Path) -> list[Path]:
    """The shards of test images.

    Raises:
        UserError: there are none.
    """
    found = next((shards for name in TEST_NAMES if (shards := shards_in(folder, name))), None)
    if found is None:
        raise UserError(f"{folder} has train-*.tar but neither test-*.tar nor val-*.tar; add one")
    return found


def _stored(
    places: TarMembers,
    labels: list[int],
    classes: tuple[str, ...],
    size: int,
    workers: int,
    left_out: UnreadableImages,
) -> StoredImages:
    indices = torch.arange(len(labels))
    return StoredImages(places, indices, torch.tensor(labels), classes, size, workers, left_out)


def _classes(folder: Path, count: int) -> tuple[str, ...]:
    path = folder / CLASSES
    if not path.is_file():
        return tuple(str(label) for label in range(count))
    names = tuple(path.read_text(encoding="utf-8").split("\n"))
    names = names[:-1] if names and not names[-1] else names
    if len(names) < count:
        raise UserError(f"{path} names {len(names)} classes, but the shards have {count}")
    return names


def _index(shards: Sequence[Path]) -> tuple[TarMembers, list[int]]:
    """Where a part's images are, and their labels."""
    places: list[tuple[int, int, int]] = []
    labels: list[int] = []
    for number, path in enumerate(shards):
        images, classes = _members(path)
        if images.keys() != classes.keys():
            lacking = ", ".join(sorted(images.keys() ^ classes.keys())[:5])
            raise UserError(f"{path}: needs an image and a .cls of each key; not so for {lacking}")
        places += [(number, *images[key]) for key in images]
        labels += [classes[key] for key in images]
    if not labels:
        raise UserError(f"{shards[0]} and its neighbours hold no images")
    table = np.array(places, dtype=np.int64)
    members = TarMembers(
        tuple(str(path) for path in shards), table[:, 0].astype(np.int32), table[:, 1], table[:, 2]
    )
    return members, labels


def _members(path: Path) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
    """A shard's images (offset and size in bytes) and labels, by key."""
    images: dict[str, tuple[int, int]] = {}
    classes: dict[str, int] = {}
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                key, _, extension = member.name.rpartition(".")
                if f".{extension.lower()}" in SUFFIXES:
                    images[key] = member.offset_data, member.size
                elif extension == "cls":
                    classes[key] = _label(shard, member)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise UserError(f"{path} is no shard of labelled images ({error})") from error
    return images, classes


def _label(shard: tarfile.TarFile, member: tarfile.TarInfo) -> int:
    held = shard.extractfile(member)
    label = -1 if held is None else int(held.read())
    if label < 0:
        raise ValueError(f"{member.name} holds no class number from 0 on")
    return label
