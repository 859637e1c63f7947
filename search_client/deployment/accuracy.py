"""Accuracy of a `.tflite` file itself, over a folder of images, on all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netspec.errors import UserError
from search_client.data.folders import (
    ImageFiles,
    NoClasses,
    files_by_class,
    read_square,
    stored_size,
    test_folder,
)
from search_client.deployment.litert import Pixels, TFLiteClassifier
from search_client.deployment.metadata import read_metadata
from search_client.networks.classes import BACKGROUND

TOP = 5
#: images that a process is given at a time
_CHUNK = 64

Labelled = tuple[Path, int]


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


def evaluate_file(
    model: Path,
    data: Path,
    workers: int | None = None,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> ClassificationAccuracy:
    """The accuracy of a file over the `test` or `val` part of a folder, or all of it.

    Images are cut as in training's evaluation: the central square, resized, its middle.

    Args:
        model: a `.tflite` classifier.
        data: FOLDER/test/CLASS/*, FOLDER/val/CLASS/* or FOLDER/CLASS/*.
        workers: processes; None: one a core.
        on_image: called with the images done and all.

    Raises:
        UserError: the file is no classifier of images, its classes are not the folder's, or
            an image cannot be read.
    """
    content = model.read_bytes()
    classifier = TFLiteClassifier(content)
    metadata = read_metadata(content)
    files = _files(data)
    rows = _rows(tuple(files), None if metadata is None else metadata.labels, classifier.classes)
    labelled = [(path, rows[name]) for name, paths in files.items() for path in paths]
    chunks = [labelled[start : start + _CHUNK] for start in range(0, len(labelled), _CHUNK)]
    counted: list[_Counts] = []
    for counts in _run(content, chunks, workers or os.cpu_count() or 1):
        counted.append(counts)
        on_image(sum(counts.images for counts in counted), len(labelled))
    total = sum(counts.images for counts in counted)
    return ClassificationAccuracy(
        images=total,
        top1=sum(counts.top1 for counts in counted) / total,
        top5=sum(counts.top5 for counts in counted) / total,
    )


def _files(data: Path) -> ImageFiles:
    """Image files by class of the part with test images, or of all."""
    part = test_folder(data) or data
    files = files_by_class(part) if part.is_dir() else {}
    if not files:
        raise NoClasses(
            f"{data} holds no classes with images; expected {data}/test/CLASS/*.png, "
            f"{data}/val/CLASS/*.png or {data}/CLASS/*.png (.png, .jpg or .jpeg)"
        )
    return files


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


_classifier: TFLiteClassifier | None = None


def _start(content: bytes) -> None:
    global _classifier  # noqa: PLW0603 (one interpreter a process, for all of its chunks)
    _classifier = TFLiteClassifier(content)


def _run(content: bytes, chunks: Sequence[Sequence[Labelled]], workers: int) -> Iterator[_Counts]:
    """Counts of every chunk, as they come."""
    if workers == 1 or len(chunks) == 1:
        _start(content)
        yield from map(_count, chunks)
        return
    # Spawned: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    processes = min(workers, len(chunks))
    with ProcessPoolExecutor(processes, context, _start, (content,)) as pool:
        for task in as_completed(pool.submit(_count, chunk) for chunk in chunks):
            yield task.result()


def _count(chunk: Sequence[Labelled]) -> _Counts:
    if _classifier is None:
        raise RuntimeError("a chunk came before the model")
    size = _classifier.input_size
    images = np.stack([crop(read_square(path, stored_size(size)), size) for path, _ in chunk])
    labels = np.array([label for _, label in chunk])
    logits = _classifier.logits(images)
    best = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    return _Counts(
        images=len(chunk),
        top1=int((best[:, 0] == labels).sum()),
        top5=int((best == labels[:, None]).any(axis=1).sum()),
    )


def crop(image: Pixels, size: int) -> Pixels:
    """The middle [size, size, 3] of an image, as `batches.central_crop` takes it."""
    start = (image.shape[0] - size) // 2
    return image[start : start + size, start : start + size]
