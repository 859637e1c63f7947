"""Logits of a `.tflite` file, and of the network in torch that it came from."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import numpy as np
import torch
from torch import Tensor, nn

from netspec.layers import Float32Array
from search_client.data.batches import normalise
from search_client.deployment.litert import Kernels, Pixels, TFLiteClassifier

#: images that torch runs at a time
_BATCH = 100
#: images that an interpreter is given at a time: with reference kernels, some tenths of a second
_CHUNK = 20


class FileLogits:
    """Logits of a file; as many interpreters run at once as torch has threads."""

    def __init__(self, file: bytes, kernels: Kernels) -> None:
        self._file = file
        self.kernels = kernels
        self._idle: SimpleQueue[TFLiteClassifier] = SimpleQueue()

    def __call__(
        self, pixels: Pixels, on_image: Callable[[int], None]
    ) -> tuple[Float32Array, float | None]:
        """Logits [N, classes] for pixels [N, H, W, 3], and the step of the output's codes."""
        parts = np.array_split(pixels, math.ceil(len(pixels) / _CHUNK))
        # LiteRT gives Python's lock away while it runs a model.
        pool = ThreadPoolExecutor(min(torch.get_num_threads(), len(parts)))
        logits: list[Float32Array] = []
        try:
            for found in pool.map(self._run, parts):
                logits.append(found)
                on_image(sum(map(len, logits)))
        finally:
            # Else a Ctrl-C would wait for all images.
            pool.shutdown(cancel_futures=True)
        return np.concatenate(logits), self._take().output_scale

    def _run(self, part: Pixels) -> Float32Array:
        classifier = self._take()
        try:
            return classifier.logits(part)
        finally:
            self._idle.put(classifier)

    def _take(self) -> TFLiteClassifier:
        try:
            return self._idle.get_nowait()
        except Empty:
            return TFLiteClassifier(self._file, self.kernels)


def to_pixels(images: Tensor) -> Pixels:
    """Images [N, 3, H, W] as a file takes them: uint8 [N, H, W, 3]."""
    pixels: Pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    return pixels


@torch.no_grad()
def torch_logits(model: nn.Module, images: Tensor) -> Float32Array:
    """Logits [N, classes] of pixels [N, 3, H, W]; the model is left in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    logits = [model(normalise(part).to(device)).cpu() for part in torch.split(images, _BATCH)]
    joined: Float32Array = torch.cat(logits).numpy()
    return joined
