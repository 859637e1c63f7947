"""Accuracy of a `.tflite` file itself, over a folder of images, on all cores."""

from __future__ import annotations

import io
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from netspec.errors import UserError
from netspec.layers import Float32Array
from netspec.tflite.foreign_metadata import packed_labels
from search_client.data.folders import (
    NoClasses,
    count_of,
    files_by_class,
    square_of,
    stored_size,
    test_folder,
)
from search_client.data.stored import ImageSource, StoredImages, stored_files
from search_client.data.unreadable import UnreadableImages
from search_client.data.webdataset import has_shards, read_test_shards
from search_client.deployment.litert import Pixels, TFLiteClassifier
from search_client.deployment.metadata import preparation_in, read_metadata
from search_client.networks.classes import BACKGROUND
from search_client.networks.normalisation import Normalisation
from search_client.training import distributed

TOP = 5
#: images that a process is given at a time
_CHUNK = 64


class UnknownNormalisation(UserError):
    """It is not known what a file takes for an image."""


class LabelsDiffer(UserError):
    """A model's classes are not those of the images."""


@dataclass(frozen=True)
class ClassificationAccuracy:
    """What a file got right."""

    images: int
    #: fractions
    top1: float
    top5: float


@dataclass(frozen=True)
class _Counts:
    images: int
    top1: int
    top5: int

    def __add__(self, other: _Counts) -> _Counts:
        return _Counts(self.images + other.images, self.top1 + other.top1, self.top5 + other.top5)


def evaluate_file(
    model: Path,
    data: Path,
    workers: int | None = None,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    normalisation: Normalisation | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> ClassificationAccuracy:
    """The accuracy of a file over the `test` or `val` part of a folder, or all of it.

    Images are cut as in training's evaluation: the central square, resized, its middle.

    Args:
        model: a `.tflite` classifier.
        data: FOLDER/test/CLASS/*, FOLDER/val/CLASS/* or FOLDER/CLASS/*, or shards as
            FOLDER/test-*.tar or FOLDER/val-*.tar.
        workers: processes; None: one a core. Those of `torchrun` divide cores and images.
        on_image: called with the images done and all of this process.
        normalisation: of images, in place of what the file says of it.
        tell: hears what was taken for the classes of a file that names them otherwise.

    Raises:
        UnknownNormalisation: nobody says how images are normalised for this file.
        UserError: the file is no classifier of images, its classes are not the folder's, or
            an image cannot be read.
    """
    content = model.read_bytes()
    _, images = classifier_and_images(model, data, normalisation, tell)
    rank, processes = distributed.shard()
    mine = torch.arange(rank, len(images), processes)
    chunks = [part.tolist() for part in torch.split(mine, _CHUNK)] if len(mine) else []
    work = _Work(content, normalisation, images)
    counted = _Counts(0, 0, 0)
    for counts in _run(work, chunks, workers or _cores()):
        counted += counts
        on_image(counted.images, len(mine))
    total, top1, top5 = distributed.sums(counted.images, counted.top1, counted.top5)
    return ClassificationAccuracy(images=total, top1=top1 / total, top5=top5 / total)


def classifier_and_images(
    model: Path,
    data: Path,
    normalisation: Normalisation | None,
    tell: Callable[[str], None],
) -> tuple[TFLiteClassifier, ImagesOnDisk]:
    """A file that is loaded, and the images for it; args and errors as of `evaluate_file`."""
    content = model.read_bytes()
    told = preparation_in(content)
    if normalisation is None and told is None:
        raise UnknownNormalisation(
            f"{model} does not say how its images are normalised; give --mean and --std, of pixels "
            "in 0..1: 0.5 and 0.5 where it was trained on images in [-1, 1], 0 and 1 on [0, 1], "
            "0.485,0.456,0.406 and 0.229,0.224,0.225 with ImageNet's"
        )
    classifier = TFLiteClassifier(content, normalisation=normalisation)
    images = _images(data, classifier.input_size)
    rows = _rows(images.classes, _labels(content, images.classes, tell), classifier.classes)
    labels = torch.tensor([rows[name] for name in images.classes])[images.labels]
    return classifier, ImagesOnDisk(images.source, images.indices.tolist(), labels.tolist())


def _cores() -> int:
    """Return the cores of this machine that are this process's share of them."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _images(data: Path, size: int) -> StoredImages:
    """The images of the part with test images, or of all of a folder."""
    if has_shards(data):
        return read_test_shards(data, stored_size(size), 0)
    part = test_folder(data) or data
    files = files_by_class(part) if part.is_dir() else {}
    if not files:
        raise NoClasses(
            f"{data} holds no classes with images; expected {data}/test/CLASS/*.png, "
            f"{data}/val/CLASS/*.png or {data}/CLASS/*.png (.png, .jpg or .jpeg), or shards "
            "test-*.tar or val-*.tar"
        )
    return stored_files(files, stored_size(size), 0, UnreadableImages(count_of(files), 0))


def _labels(
    content: bytes, names: Sequence[str], tell: Callable[[str], None]
) -> Sequence[str] | None:
    """The labels that a file has for the classes of images; None: they are to be told by order."""
    metadata = read_metadata(content)
    if metadata is not None:
        return metadata.labels
    packed = packed_labels(content)
    if packed is not None and set(packed).isdisjoint(names):
        shown = ", ".join(packed[:3])
        tell(f"The model calls its classes {shown} ...: they are taken in the folder's order")
        return None
    return packed


def _rows(names: Sequence[str], labels: Sequence[str] | None, outputs: int) -> dict[str, int]:
    """The index of each class's logit: by the file's labels, else by the order of the names."""
    if labels is not None:
        missing = sorted(set(names) - set(labels))
        if missing:
            raise LabelsDiffer(
                f"the model has no class {', '.join(missing[:5])}; it knows {len(labels)}, "
                f"among them {', '.join(list(labels)[:5])}: evaluate it on images of its classes"
            )
        return {name: labels.index(name) for name in names}
    if outputs == len(names) + 1:
        names = (BACKGROUND, *names)
    if outputs != len(names):
        raise LabelsDiffer(
            f"the model says nothing of its labels and gives {outputs} numbers, but the folder "
            f"has {len(names)} classes: give it {outputs}, or export the model with its labels"
        )
    return {name: row for row, name in enumerate(names)}


@dataclass(frozen=True)
class ImagesOnDisk:
    """Test images where they lie, read when they are run."""

    source: ImageSource
    #: of each image, its place in the source and the row of its class among a file's outputs
    places: list[int]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.places)

    def name(self, image: int) -> str:
        """What an image is called, by its position."""
        return self.source.name(self.places[image])

    def pixels(self, images: Sequence[int], size: int) -> Pixels:
        """Some images by their positions, [N, size, size, 3].

        Raises:
            UserError: one cannot be read.
        """
        return np.stack([crop(self._square(image, size), size) for image in images])

    def _square(self, image: int, size: int) -> Pixels:
        content = io.BytesIO(self.source.content(self.places[image]))
        return square_of(content, self.name(image), stored_size(size))


@dataclass(frozen=True)
class _Work:
    """What every process that runs images has."""

    model: bytes
    normalisation: Normalisation | None
    images: ImagesOnDisk


_process: tuple[_Work, TFLiteClassifier] | None = None


def _start(work: _Work) -> None:
    global _process  # noqa: PLW0603 (one interpreter a process, for all of its chunks)
    _process = work, TFLiteClassifier(work.model, normalisation=work.normalisation)


def _run(work: _Work, chunks: Sequence[Sequence[int]], workers: int) -> Iterator[_Counts]:
    """Counts of every chunk, as they come."""
    if workers == 1 or len(chunks) <= 1:
        _start(work)
        yield from map(_count, chunks)
        return
    # Spawned: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    processes = min(workers, len(chunks))
    with ProcessPoolExecutor(processes, context, _start, (work,)) as pool:
        for task in as_completed(pool.submit(_count, chunk) for chunk in chunks):
            yield task.result()


def _count(chunk: Sequence[int]) -> _Counts:
    if _process is None:
        raise RuntimeError("a chunk came before the model")
    work, classifier = _process
    labels = np.array([work.images.labels[image] for image in chunk])
    logits = classifier.logits(work.images.pixels(chunk, classifier.input_size))
    top1, top5 = hits(logits, labels)
    return _Counts(images=len(chunk), top1=top1, top5=top5)


def hits(logits: Float32Array, labels: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Images whose true class has the greatest logit, and one of the `TOP` greatest."""
    best = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    return int((best[:, 0] == labels).sum()), int((best == labels[:, None]).any(axis=1).sum())


def crop(image: Pixels, size: int) -> Pixels:
    """The middle [size, size, 3] of an image, as `batches.central_crop` takes it."""
    start = (image.shape[0] - size) // 2
    return image[start : start + size, start : start + size]
