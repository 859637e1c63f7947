"""How long a device takes for a job of test images, and whether it gives what `evaluate` gives.

On this machine: a profiler server and an agent as processes of their own, a MobileNetV2 in int8
with random weights, and made-up images as files. Cutting, uploading, running and fetching are timed
together, as a user waits for them. The last line is one JSON object:

- `device_evaluation_1000_s`: the seconds for 1,000 images;
- `evaluate_1000_s`: those of `evaluate` on all cores, in the same run;
- `identical`: whether accuracy and every output are those of this process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from netspec.networks import mobilenet_v2
from netspec.tflite import encode
from search_client.demo.farm import farm_of_this_host
from search_client.deployment.accuracy import evaluate_file
from search_client.deployment.device_accuracy import evaluate_on_device
from search_client.networks.layers import FloatNetwork
from search_client.progress import Stages
from search_client.quantization.pixels import USUAL
from search_client.quantization.post_training import quantize_post_training
from search_client.recipe import read_recipe

CLASSES = 10
#: the second that is stated is for so many
IMAGES = 1_000


def main() -> None:
    """Times one evaluation of each size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--size", type=int, default=96, help="px")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model.tflite"
        model.write_bytes(file_of(options.size))
        data = write_images(folder / "data", options.images, options.size)
        normalisation, stages = USUAL, Stages()
        started = time.perf_counter()
        here = evaluate_file(model, data, normalisation=normalisation)
        here_s = time.perf_counter() - started
        settings = read_recipe("proxylessnas")
        with farm_of_this_host(settings, data, folder, 0, stages) as (client, target, _):
            started = time.perf_counter()
            there = evaluate_on_device(
                client, target, model, data, stages, normalisation=normalisation
            )
            taken_s = time.perf_counter() - started
    identical = there.host.max_difference == 0 and (here.top1, here.top5) == (
        there.top1,
        there.top5,
    )
    print(f"{here_s:6.1f} s  evaluate, {here.images} images of {options.size} px, all cores")
    print(f"{taken_s:6.1f} s  evaluate --on-device, the same")
    share = IMAGES / here.images
    told = {
        "device_evaluation_1000_s": round(taken_s * share, 1),
        "evaluate_1000_s": round(here_s * share, 1),
        "identical": identical,
    }
    print(json.dumps(told))


def file_of(size: int) -> bytes:
    """A MobileNetV2 of width 0.5 in int8, whose ranges are observed on noise."""
    torch.manual_seed(0)
    model = FloatNetwork(mobilenet_v2(size, 0.5, classes=CLASSES)).eval()
    quantized = quantize_post_training(model, [noise(16, size, seed) for seed in range(4)])
    return encode(quantized.network.operators, quantized.parameters_for_export())


def noise(count: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images uint8 [N, 3, S, S], and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    return images, torch.randint(CLASSES, (count,), generator=generator)


def write_images(folder: Path, count: int, size: int) -> Path:
    """Made-up photographs as FOLDER/test/CLASS/NUMBER.png: colours that change slowly."""
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = random.integers(0, 256, (4, 4, 3), np.uint8)
        path = folder / "test" / f"class {number % CLASSES}" / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(path)
    return folder


if __name__ == "__main__":
    main()
