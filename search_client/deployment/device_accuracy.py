"""Accuracy of a `.tflite` file on a target's device, beside this machine's and torch's.

The very tensors that the file takes are uploaded, so that nothing is prepared on the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from netspec.client import JobFailed, ProfilerClient
from netspec.errors import ProfilerRefused
from netspec.layers import Float32Array
from netspec.wire import ModelSubject, Target
from search_client.deployment.accuracy import classifier_and_images, hits
from search_client.deployment.device_layers import first_on_device
from search_client.deployment.device_outputs import (
    PIECE,
    ClassifiedImages,
    DeviceOutputs,
    run_on_device,
)
from search_client.deployment.export import torch_twin
from search_client.deployment.litert import Pixels, TFLiteClassifier
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
from search_client.progress import Stages


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

    #: that ran the images, the newest last; several where pieces of before were taken
    job_ids: tuple[str, ...]
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
    #: where the device strays from this machine: the first layer that it computes otherwise, for
    #: the same image; None: it does not stray, or gives the layers as this machine does
    first_on_device: FirstDifference | None


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
    resume: bool = False,
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
        resume: whether images that the target has run through the file before are not run again.

    Raises:
        ProfilerRefused: no device of the target runs images, or the token may upload no more.
        JobFailed: the device could not run them.
        UserError: as of `evaluate_file`.
    """
    classifier, images = classifier_and_images(model, data, normalisation, stages.note)
    content = model.read_bytes()
    subject = client.upload_model(content, model.name)
    ran = run_on_device(client, target, subject, classifier, images, stages, resume=resume)
    labels = np.array(images.labels)
    worst, host = _compared(ran.of_device, ran.of_host, images, classifier.output_scale)
    on_device = None
    if host.tied_agreement < LEAST_AGREEMENT:
        image = images.pixels([worst], classifier.input_size)[0]
        on_device = _first_on_device(
            client, target, (subject, content), image, stages, normalisation
        )
    in_torch, first = None, None
    if origin is not None:
        in_torch, first = _beside_torch(ran, content, origin, images, classifier)
    top1, top5 = hits(ran.of_device, labels)
    return DeviceAccuracy(
        job_ids=ran.job_ids,
        images=len(images),
        top1=top1 / len(images),
        top5=top5 / len(images),
        load_ms=ran.load_ms,
        peak_memory_mib=ran.peak_memory_mib,
        host=host,
        torch=in_torch,
        first_difference=first,
        first_on_device=on_device,
    )


def _first_on_device(
    client: ProfilerClient,
    target: Target,
    model: tuple[ModelSubject, bytes],
    image: Pixels,
    stages: Stages,
    normalisation: Normalisation | None,
) -> FirstDifference | None:
    """As `first_on_device`; where that cannot be told, why is."""
    try:
        return first_on_device(client, target, model, image, stages, normalisation)
    except (JobFailed, ProfilerRefused) as error:
        stages.note(f"Which layer strays on the device cannot be told: {error}")
        return None


def _beside_torch(
    ran: DeviceOutputs,
    content: bytes,
    origin: Origin,
    images: ClassifiedImages,
    classifier: TFLiteClassifier,
) -> tuple[Agreement, FirstDifference | None]:
    """The device beside torch, and the first layer where the file strays on this machine, too."""
    twin, size = torch_twin(origin.trained, origin.form), classifier.input_size
    of_torch = np.concatenate([torch_logits(twin, part) for part in _tensors(images, size)])
    worst, agreement = _compared(ran.of_device, of_torch, images, classifier.output_scale)
    labels = np.array(images.labels)
    here = compare(ran.of_host, of_torch, labels, classifier.output_scale)
    if here.tied_agreement >= LEAST_AGREEMENT:
        return agreement, None
    image = torch.from_numpy(images.pixels([worst], size)[0]).permute(2, 0, 1)
    return agreement, first_difference(content, twin, image)


def _tensors(images: ClassifiedImages, size: int) -> Iterator[torch.Tensor]:
    """All images, some at a time, uint8 [N, 3, S, S]."""
    for start in range(0, len(images), PIECE):
        part = range(start, min(start + PIECE, len(images)))
        yield torch.from_numpy(images.pixels(part, size)).permute(0, 3, 1, 2)


def _compared(
    of_device: Float32Array,
    other: Float32Array,
    images: ClassifiedImages,
    scale: float | None,
) -> tuple[int, Agreement]:
    """The image with the greatest difference, and the comparison."""
    labels = np.array(images.labels)
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
    first, on_device = found.first_difference, found.first_on_device
    if first is not None:
        place = f"layer {first.layer} strays from torch on this machine, too"
    elif on_device is not None:
        place = (
            f"layer {on_device.layer} is the first that the device computes otherwise, by "
            f"{on_device.relative:.0%} of its greatest value"
        )
    elif found.torch is not None:
        place = "the file is right on this machine: the device's runtime or delegate is to blame"
    else:
        place = "--run compares this machine with torch, too"
    raise ParityFailed(
        f"the device agrees with this machine on {found.host.tied_agreement:.2%} of the images, "
        f"less than {LEAST_AGREEMENT:.1%}, and strays most for {found.host.worst_image}: {place}"
    )
