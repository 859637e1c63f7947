"""Test images through a model on this machine, a process for each piece."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device_agent.runners.base import ImageOutputs
from device_agent.runners.forked_runs import ForkedRuns, raise_failure
from device_agent.runners.orders import ImagesOrder
from netspec.images import Images
from netspec.layers import Float32Array

#: what one image may take at most, s
_IMAGE_S = 10.0
#: what loading the model may take, s
_LOAD_S = 60.0


@dataclass(frozen=True)
class LiteRtImages:
    """Runs images as visits are run: by LiteRT with XNNPACK and one thread."""

    forked: ForkedRuns
    #: that runs are pinned to, None where the system cannot pin
    core: int | None

    def run(self, model: Path, images: Images, go_on: Callable[[], bool]) -> ImageOutputs | None:
        """What the model gives for the images; None: `go_on` said no before the end.

        Raises:
            VisitFailed: the model does not take them, or the process failed.
            DeviceNotReady: the runtime does not start.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "images.npy", images)
            order = ImagesOrder(
                model=str(model.resolve()),
                core=self.core,
                images=str(folder / "images.npy"),
                outputs=str(folder / "outputs.npy"),
                timeout_s=_LOAD_S + _IMAGE_S * len(images),
            )
            self.forked.begin(order)
            answer = self.forked.finish(order, go_on)
            if answer is None:
                return None
            result = json.loads(answer["result"])
            raise_failure(result)
            logits: Float32Array = np.load(folder / "outputs.npy")
        return ImageOutputs(logits, result["load_ms"], result["peak_memory_mib"])
