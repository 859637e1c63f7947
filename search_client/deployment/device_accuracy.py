"""Accuracy of a `.tflite` file on a target's device, beside this machine's and torch's.

The very tensors that the file takes are uploaded, so that nothing is prepared on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from netspec.client import ProfilerClient
from netspec.images import pack
from netspec.layers import Float32Array
from netspec.wire import (
    MAX_IMAGES_BYTES,
    MAX_LOGITS_BYTES,
    EvaluationRequest,
    ImagePiece,
    JobRequest,
    Target,
)
from search_client.deployment.accuracy import ImagesOnDisk, classifier_and_images, hits
from search_client.deployment.export import torch_twin
from search_client.deployment.litert import TFLiteClassifier
from search_client.deployment.logits import torch_logits
from search_client.deployment.metadata import Form
from search_client.deployment.parity import (
    LEAST_AGREEMENT,
    FirstDifference,
    ParityFailed,
    compare,
    first_difference,
)
from search_client.deployment.trained_network import TrainedNetwork
from search_client.networks.normalisation import Normalisation
from search_client.progress import Stages, job_progress

#: images of a piece: what a lost lease loses
_PIECE = 128
#: the header of a file of images, bytes
_HEADER_BYTES = 256
#: pieces that wait to be run on this machine
_MOST_WAITING = 4


@dataclass(frozen=True)
class Agreement:
    """Two ways to run one file, image by image."""

    #: of the other way, fractions
    top1: float
    top5: float
    #: share of images of which both choose the same class
    top1_agreement: float
    #: the same where a class that the other way has within `TIE_STEPS` of its greatest counts, too
    tied_agreement: float
    #: greatest difference of an output
    max_difference: float
    #: the same in output steps; None for a float output
    max_steps: int | None
    #: image with the greatest difference
    worst_image: str


@dataclass(frozen=True)
class DeviceAccuracy:
    """What a file gave on a target's device."""

    job_id: str
    images: int
    #: fractions
    top1: float
    top5: float
    #: time to load the file, ms, and memory that it took at most, MiB; None where the runner does
    #: not say
    load_ms: float | None
    peak_memory_mib: float | None
    #: with LiteRT on this machine: other processors have other kernels
    host: Agreement
    #: with the network in torch that the file came from, where that is known
    torch: Agreement | None
    #: where the file strays from torch on this machine, too: the first layer that does, for the
    #: image of which the device strays most; None: it does not, or the network is not known
    first_difference: FirstDifference | None


@dataclass(frozen=True)
class Origin:
    """The network that a file came from."""

    trained: TrainedNetwork
    form: Form


def evaluate_on_device(
    client: ProfilerClient,
    target: Target,
    model: Path,
    data: Path,
    stages: Stages,
    *,
    normalisation: Normalisation | None = None,
    origin: Origin | None = None,
) -> DeviceAccuracy:
    """Have a target's device run a file over test images, and compare what it gives.

    Args:
        client: of the profiler.
        target: where to.
        model: a `.tflite` classifier.
        data: as of `evaluate_file`.
        stages: shows the progress.
        normalisation: of images, in place of what the file says.
        origin: the network that the file came from, to compare with.

    Raises:
        ProfilerRefused: no device of the target runs images, or the token may upload no more.
        JobFailed: the device could not run them.
        UserError: as of `evaluate_file`.
    """
    classifier, images = classifier_and_images(model, data, normalisation, stages.note)
    subject = client.upload_model(model.read_bytes(), model.name)
    with stages.bar("images uploaded") as advance:
        pieces, of_host = _upload(client, classifier, images, advance)
    request = JobRequest(
        name=f"accuracy of {model.name}",
        target_id=target.id,
        rounds=1,
        evaluation=EvaluationRequest(model=subject, pieces=tuple(pieces)),
    )
    with stages.bar("pieces run") as advance:
        job = client.wait(client.create_job(request), job_progress(advance))
    logits = np.concatenate([client.logits(job.id, piece) for piece in range(len(pieces))])
    result = client.evaluation(job.id)
    labels = np.array(images.labels)
    worst, host = _compared(logits, of_host, labels, images, classifier.output_scale)
    in_torch, first = None, None
    if origin is not None:
        twin = torch_twin(origin.trained, origin.form)
        pixels = _tensors(images, classifier.input_size)
        of_torch = np.concatenate([torch_logits(twin, part) for part in pixels])
        worst, in_torch = _compared(logits, of_torch, labels, images, classifier.output_scale)
        here = compare(of_host, of_torch, labels, classifier.output_scale)
        if here.tied_agreement < LEAST_AGREEMENT:
            image = torch.from_numpy(images.pixels([worst], classifier.input_size)[0])
            first = first_difference(model.read_bytes(), twin, image.permute(2, 0, 1))
    top1, top5 = hits(logits, labels)
    return DeviceAccuracy(
        job_id=job.id,
        images=len(images),
        top1=top1 / len(images),
        top5=top5 / len(images),
        load_ms=result.load_ms,
        peak_memory_mib=result.peak_memory_mib,
        host=host,
        torch=in_torch,
        first_difference=first,
    )


def _upload(
    client: ProfilerClient,
    classifier: TFLiteClassifier,
    images: ImagesOnDisk,
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


def _parts(classifier: TFLiteClassifier, images: ImagesOnDisk) -> Iterator[range]:
    """Positions of the images of each piece."""
    one = classifier.prepared(images.pixels([0], classifier.input_size)).nbytes
    by_bytes = (MAX_IMAGES_BYTES - _HEADER_BYTES) // one
    size = max(1, min(_PIECE, by_bytes, MAX_LOGITS_BYTES // (4 * classifier.classes)))
    for start in range(0, len(images), size):
        yield range(start, min(start + size, len(images)))


def _tensors(images: ImagesOnDisk, size: int) -> Iterator[torch.Tensor]:
    """All images, some at a time, uint8 [N, 3, S, S]."""
    for start in range(0, len(images), _PIECE):
        part = range(start, min(start + _PIECE, len(images)))
        yield torch.from_numpy(images.pixels(part, size)).permute(0, 3, 1, 2)


def _compared(
    of_device: Float32Array,
    other: Float32Array,
    labels: npt.NDArray[np.int64],
    images: ImagesOnDisk,
    scale: float | None,
) -> tuple[int, Agreement]:
    """The image with the greatest difference, and the comparison."""
    strays = np.abs(of_device - other).max(axis=1)
    worst = int(strays.argmax())
    top1, top5 = hits(other, labels)
    parity = compare(of_device, other, labels, scale)
    return worst, Agreement(
        top1=top1 / len(labels),
        top5=top5 / len(labels),
        top1_agreement=parity.top1_agreement,
        tied_agreement=parity.tied_agreement,
        max_difference=parity.max_difference,
        max_steps=parity.max_steps,
        worst_image=images.name(worst),
    )


def require_agreement(found: DeviceAccuracy) -> None:
    """Refuse a device that does not compute what this machine computes.

    Raises:
        ParityFailed: but for ties, both choose the same class on too few images.
    """
    if found.host.tied_agreement >= LEAST_AGREEMENT:
        return
    first = found.first_difference
    if first is not None:
        place = f"layer {first.layer} strays from torch on this machine, too"
    elif found.torch is not None:
        place = "the file is right on this machine: the device's runtime or delegate is to blame"
    else:
        place = "--run compares this machine with torch, too"
    raise ParityFailed(
        f"the device agrees with this machine on {found.host.tied_agreement:.2%} of the images, "
        f"less than {LEAST_AGREEMENT:.1%}, and strays most for {found.host.worst_image}: {place}"
    )
