"""Logits of a `.tflite` file, and of the network in torch that it came from."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

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


def file_logits(
    file: bytes, kernels: Kernels, pixels: Pixels, on_image: Callable[[int], None]
) -> tuple[Float32Array, float | None]:
    """Logits [N, classes] of a file for pixels [N, H, W, 3], and the step of its output's codes.

    As many interpreters run at once as torch has threads.
    """
    parts = np.array_split(pixels, math.ceil(len(pixels) / _CHUNK))
    threads = min(torch.get_num_threads(), len(parts))
    idle: SimpleQueue[TFLiteClassifier] = SimpleQueue()
    for _ in range(threads):
        idle.put(TFLiteClassifier(file, kernels))

    def run(part: Pixels) -> Float32Array:
        classifier = idle.get()
        try:
            return classifier.logits(part)
        finally:
            idle.put(classifier)

    # LiteRT gives Python's lock away while it runs a model.
    pool = ThreadPoolExecutor(threads)
    logits: list[Float32Array] = []
    try:
        for found in pool.map(run, parts):
            logits.append(found)
            on_image(sum(map(len, logits)))
    finally:
        # Else a Ctrl-C would wait for all images.
        pool.shutdown(cancel_futures=True)
    return np.concatenate(logits), idle.get().output_scale


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
