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
    """Whether a data folder holds shards."""
    return bool(shards_in(folder, "train"))


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
        workers: processes that decode.
        share: of the images that may be unreadable; they are left out.
        tell: hears of each of them.

    Raises:
        UserError: a shard is no tar file, an image has no label, or a part is missing.
    """
    test = next((name for name in TEST_NAMES if shards_in(folder, name)), None)
    if test is None:
        raise UserError(f"{folder} has train-*.tar but neither test-*.tar nor val-*.tar; add one")
    parts = [_index(shards_in(folder, name)) for name in ("train", test)]
    classes = _classes(folder, 1 + max(max(labels) for _, labels in parts))
    left_out = UnreadableImages(sum(len(labels) for _, labels in parts), share, tell)
    training, testing = (
        StoredImages(
            places,
            torch.arange(len(labels)),
            torch.tensor(labels),
            classes,
            size,
            workers,
            left_out,
        )
        for places, labels in parts
    )
    return training, testing


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
