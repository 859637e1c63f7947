"""Test images of a run on its target's device: how good its int8 files are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netspec.client import JobFailed, ProfilerClient
from netspec.errors import ProfilerRefused
from netspec.wire import Target
from search_client.data.batches import CentralCrops
from search_client.data.folders import LabelledImages, stored_size
from search_client.deployment.accuracy import hits
from search_client.deployment.device_outputs import run_on_device
from search_client.deployment.litert import Pixels, TFLiteClassifier
from search_client.progress import Stages
from search_client.report.content import DeviceResult
from search_client.stages.deploy import Deployed, file_name


@dataclass(frozen=True)
class _Crops:
    """Some of a run's test images, in memory, as `ClassifiedImages`."""

    #: uint8 [N, 3, S, S]
    images: Tensor
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, image: int) -> str:
        """What an image is called."""
        return f"test image {image}"

    def pixels(self, images: Sequence[int], size: int) -> Pixels:  # noqa: ARG002 - cut before
        """Some images by their positions, [N, S, S, 3]."""
        chosen: Pixels = self.images[list(images)].permute(0, 2, 3, 1).numpy()
        return chosen


def results_on_device(
    client: ProfilerClient,
    target: Target,
    deployed: Mapping[str, Deployed],
    test: LabelledImages,
    most: int,
    stages: Stages,
) -> dict[str, DeviceResult]:
    """What the int8 file of each network gives on the device, by role.

    A device that runs no images, or fails to, is told and left out: what was trained is worth its
    report without.

    Args:
        client: of the profiler.
        target: whose device runs them.
        deployed: the networks, by role.
        test: the run's test images.
        most: how many of them, spread over all.
        stages: shows the progress.
    """
    found: dict[str, DeviceResult] = {}
    with stages.stage("device accuracy", f"Run test images on {target.identity.label}"):
        for role, network in deployed.items():
            try:
                found[role] = _result(client, target, role, network, test, most, stages)
            except (JobFailed, ProfilerRefused) as error:
                stages.note(f"No accuracy of {role} on the device: {error}")
    return found


def _result(
    client: ProfilerClient,
    target: Target,
    role: str,
    network: Deployed,
    test: LabelledImages,
    most: int,
    stages: Stages,
) -> DeviceResult:
    size, content = network.network.input_size, network.files["int8"]
    batches = list(CentralCrops(test.at_size(stored_size(size)), size, most))
    labels = torch.cat([labels for _, labels in batches])
    crops = _Crops(torch.cat([images for images, _ in batches]), tuple(labels.tolist()))
    model = client.upload_model(content, file_name(role, "int8"))
    ran = run_on_device(client, target, model, TFLiteClassifier(content), crops, stages)
    top1, _ = hits(ran.of_device, labels.numpy())
    same = ran.of_device.argmax(axis=1) == ran.of_host.argmax(axis=1)
    return DeviceResult(
        images=len(crops), accuracy=top1 / len(crops), agreement=float(np.mean(same))
    )
