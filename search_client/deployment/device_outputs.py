"""What a `.tflite` file gives for test images on a target's device, and on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Protocol

import numpy as np

from netspec.client import JobFailed, ProfilerClient
from netspec.images import pack
from netspec.layers import Float32Array
from netspec.wire import (
    MAX_IMAGES_BYTES,
    MAX_LOGITS_BYTES,
    EvaluatedPiece,
    EvaluationRequest,
    ImagePiece,
    Job,
    JobQuery,
    JobRequest,
    ModelSubject,
    Target,
)
from search_client.deployment.litert import Pixels, TFLiteClassifier
from search_client.progress import Stages, job_progress

#: images of a piece: what a lost lease loses
PIECE = 128
#: the header of a file of images, bytes
_HEADER_BYTES = 256
#: pieces that wait to be run on this machine
_MOST_WAITING = 4
#: jobs of before whose pieces are looked at, the newest first
_MOST_JOBS = 20
_OPEN = ("queued", "running")


class ClassifiedImages(Protocol):
    """Test images, read when they are run."""

    @property
    def labels(self) -> Sequence[int]:
        """Of each, the row of its class among a file's outputs."""

    def __len__(self) -> int:
        """Number of images."""

    def name(self, image: int) -> str:
        """What an image is called, by its position."""

    def pixels(self, images: Sequence[int], size: int) -> Pixels:
        """Some images by their positions, [N, size, size, 3]."""


@dataclass(frozen=True)
class DeviceOutputs:
    """A file's logits for each image."""

    #: that ran the images, the newest last; several where pieces of before were taken
    job_ids: tuple[str, ...]
    #: [images, classes]
    of_device: Float32Array
    #: by LiteRT on this machine
    of_host: Float32Array
    #: time to load the file, ms, and memory that it took at most, MiB; None where the runner does
    #: not say
    load_ms: float | None
    peak_memory_mib: float | None


@dataclass(frozen=True)
class _Run:
    """A piece that a job has run."""

    job_id: str
    piece: EvaluatedPiece


def run_on_device(
    client: ProfilerClient,
    target: Target,
    model: ModelSubject,
    classifier: TFLiteClassifier,
    images: ClassifiedImages,
    stages: Stages,
    *,
    resume: bool = False,
) -> DeviceOutputs:
    """Have a target's device run a file over test images, and run it here meanwhile.

    Args:
        client: of the profiler.
        target: where to.
        model: the file, uploaded.
        classifier: the same file on this machine.
        images: what to run.
        stages: shows the progress.
        resume: whether pieces that an earlier job has run on the target are taken from it.

    Raises:
        ProfilerRefused: no device of the target runs images, or the token may upload no more.
        JobFailed: the device could not run them.
    """
    with stages.bar("images uploaded") as advance:
        pieces, of_host = _upload(client, classifier, images, advance)
    known = _earlier(client, target, model, stages) if resume else {}
    missing = [piece for piece in pieces if piece.images not in known]
    if resume:
        stages.note(f"{len(pieces) - len(missing)} of {len(pieces)} pieces were run before")
    if missing:
        request = JobRequest(
            name=_job_name(model),
            target_id=target.id,
            rounds=1,
            evaluation=EvaluationRequest(model=model, pieces=tuple(missing)),
        )
        with stages.bar("pieces run") as advance:
            job = client.wait(client.create_job(request), job_progress(advance))
        known |= _pieces_of(client, job)
    runs = [known[piece.images] for piece in pieces]
    loads_ms = [run.piece.load_ms for run in runs if run.piece.load_ms is not None]
    peaks_mib = [run.piece.peak_memory_mib for run in runs if run.piece.peak_memory_mib is not None]
    return DeviceOutputs(
        job_ids=tuple(sorted({run.job_id for run in runs})),
        of_device=np.concatenate([client.logits(run.job_id, run.piece.piece) for run in runs]),
        of_host=of_host,
        load_ms=median(loads_ms) if loads_ms else None,
        peak_memory_mib=max(peaks_mib, default=None),
    )


def _job_name(model: ModelSubject) -> str:
    return f"accuracy of {model.name}"


def _earlier(
    client: ProfilerClient, target: Target, model: ModelSubject, stages: Stages
) -> dict[str, _Run]:
    """What jobs of before have run of the same file on the target, by the images' SHA-256.

    One that is still open is waited for: a client that was killed leaves it so.
    """
    known: dict[str, _Run] = {}
    query = JobQuery(target_id=target.id, name=_job_name(model))
    for job in client.jobs(query, most=_MOST_JOBS):
        if client.evaluation(job.id).model.sha256 != model.sha256:
            continue
        if job.state in _OPEN:
            with stages.bar("pieces of the job before") as advance:
                _wait(client, job, job_progress(advance))
        known = _pieces_of(client, job) | known
    return known


def _wait(client: ProfilerClient, job: Job, on_progress: Callable[[Job], None]) -> None:
    # What a job has run before it failed is taken all the same; the rest is filed again.
    with suppress(JobFailed):
        client.wait(job, on_progress)


def _pieces_of(client: ProfilerClient, job: Job) -> dict[str, _Run]:
    return {piece.images: _Run(job.id, piece) for piece in client.outputs(job.id)}


def _upload(
    client: ProfilerClient,
    classifier: TFLiteClassifier,
    images: ClassifiedImages,
    advance: Callable[[int, int], None],
) -> tuple[list[ImagePiece], Float32Array]:
    """The pieces of the image set, and what the file gives for its images on this machine."""
    pieces: list[ImagePiece] = []
    running: list[Future[Float32Array]] = []
    # LiteRT gives Python's lock away while it runs a model: meanwhile the next images are cut.
    with ThreadPoolExecutor(1) as pool:
        for part in _parts(classifier, images):
            pixels = images.pixels(part, classifier.input_size)
            running.append(pool.submit(classifier.logits, pixels))
            digest = client.upload_images(pack(classifier.prepared(pixels)))
            labels = tuple(images.labels[image] for image in part)
            pieces.append(ImagePiece(images=digest, labels=labels))
            advance(part[-1] + 1, len(images))
            # No more images wait in memory than these.
            if len(running) > _MOST_WAITING:
                running[-_MOST_WAITING].result()
    return pieces, np.concatenate([one.result() for one in running])


def _parts(classifier: TFLiteClassifier, images: ClassifiedImages) -> Iterator[range]:
    """Positions of the images of each piece."""
    one = classifier.prepared(images.pixels([0], classifier.input_size)).nbytes
    by_bytes = (MAX_IMAGES_BYTES - _HEADER_BYTES) // one
    size = max(1, min(PIECE, by_bytes, MAX_LOGITS_BYTES // (4 * classifier.classes)))
    for start in range(0, len(images), size):
        yield range(start, min(start + size, len(images)))
