"""Which layer of a file is the first that a target's device computes otherwise than this machine.

A phone's tool gives no numbers between layers. So the file is changed to give them as its outputs,
and both run that file on the image for which they differ most.
"""

from __future__ import annotations

import numpy as np

from netspec.client import ProfilerClient
from netspec.images import pack
from netspec.tflite.layer_files import layer_files
from netspec.wire import (
    MAX_LOGITS_BYTES,
    EvaluationRequest,
    ImagePiece,
    JobRequest,
    ModelSubject,
    Target,
)
from search_client.deployment.litert import Pixels, TFLiteClassifier
from search_client.deployment.parity import STRAYS, FirstDifference
from search_client.networks.normalisation import Normalisation
from search_client.progress import Stages

_FLOAT32_BYTES = 4


def first_on_device(
    client: ProfilerClient,
    target: Target,
    model: tuple[ModelSubject, bytes],
    image: Pixels,
    stages: Stages,
    normalisation: Normalisation | None = None,
) -> FirstDifference | None:
    """The first layer whose output differs by more than `STRAYS` of its greatest value here.

    None: none of them does, such as where the device computes it rightly once it is an output.

    Args:
        client: of the profiler.
        target: whose device strays.
        model: the file, uploaded, and its bytes.
        image: [size, size, 3].
        stages: tells how far it is.
        normalisation: of images, in place of what the file says.

    Raises:
        ProfilerRefused: as of `run_on_device`.
        JobFailed: the device does not run the changed file.
    """
    subject, content = model
    for number, file in enumerate(layer_files(content, MAX_LOGITS_BYTES // _FLOAT32_BYTES), 1):
        stages.note(f"run {subject.name} with its layers as outputs, part {number}")
        here = TFLiteClassifier(file, normalisation=normalisation)
        digest = client.upload_images(pack(here.prepared(image[np.newaxis])))
        changed = client.upload_model(file, f"layers {number} of {subject.name}")
        request = JobRequest(
            name=f"layers {number} of {subject.name}",
            target_id=target.id,
            rounds=1,
            evaluation=EvaluationRequest(
                model=changed, pieces=(ImagePiece(images=digest, labels=(0,)),)
            ),
        )
        job = client.wait(client.create_job(request))
        (there,) = client.logits(job.id, 0)
        start = 0
        for name, expected in here.outputs(image).items():
            found = there[start : start + expected.size]
            start += expected.size
            relative = float(np.abs(found - expected.ravel()).max())
            relative /= max(float(np.abs(expected).max()), 1e-6)
            if not relative <= STRAYS:  # also where it is no number
                return FirstDifference(name, relative)
    return None
