"""What quantization costs in time, and whether the file is what was trained.

Step times: a 21-block network of the ProxylessNAS space (kernel 5, expansion 6), a float step, a
finetuning step with live BatchNorm and moving ranges, one with both frozen, and, where torchao is
installed, one of its PT2E, alternating in one process; the ratios are of medians. Export: the same
network at 224 px and width 1.0, from folded weights and ranges to the bytes of an int8 file.
Parity: a 21-block network, trained for some steps on made-up images and finetuned, against its file
on every kernel set, all of which run all images. A share of another class is mixed into each image,
so that the network is wrong on some and undecided on others. Output steps: the greatest difference
between random networks, not trained, after post-training quantization, and their files, by the
number of classes and the input's side. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.torchao_step import torchao_network
from netspec.spaces import Space
from netspec.tflite import encode
from search_client.data.batches import Batch, CentralCrops, normalise
from search_client.deployment.parity import KERNEL_SETS, MOST_BY_REFERENCE, verify
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig, calibrate, finetune_int8
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.post_training import quantize_post_training
from search_client.training.loop import TrainConfig, train
from search_client.training.memory import keep_freed_memory

#: kernel 5, expansion 6
CHOICE = 3
CLASSES = 10
#: of the random networks
CLASS_COUNTS = (2, 10, 1000)
SIZES = (32, 96)
#: batches of 16 images that running statistics are taken from
STATISTICS_BATCHES = 12
#: of another class in the images of the parity
MIXED = 0.7
#: what is measured
PARTS = ("steps", "export", "parity", "random")


class Made:
    """Made-up images: a class is a colour and a stripe, in noise; every epoch the same.

    Args:
        count: of images.
        size: px.
        batch: images of one.
        seed: of all that is drawn.
        mixed: greatest share of colour and stripe that an image has of another class.
    """

    def __init__(self, count: int, size: int, batch: int, seed: int, mixed: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(CLASSES, (count,), generator=generator)
        noise = torch.rand(count, 3, size, size, generator=generator) * 150
        colours = torch.rand(CLASSES, 3, generator=torch.Generator().manual_seed(1)) * 100
        rows = torch.arange(size)[None, None, :, None]

        def signal(labels: Tensor) -> Tensor:
            stripes = 40 * ((rows * (labels[:, None, None, None] + 1) * 2 // size) % 2)
            return colours[labels][:, :, None, None] + stripes

        pixels = noise + signal(self.labels)
        if mixed:
            share = mixed * torch.rand(count, 1, 1, 1, generator=generator)
            others = torch.randint(CLASSES, (count,), generator=generator)
            pixels += share * (signal(others) - signal(self.labels))
        self.images = pixels.clamp(0, 255).to(torch.uint8)
        self.batch = batch

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.labels) // self.batch

    def __iter__(self) -> Iterator[Batch]:
        """The batches of an epoch."""
        return self.epoch(0)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of any epoch, from a given one on."""
        del number
        for index in range(start, len(self)):
            chosen = slice(index * self.batch, (index + 1) * self.batch)
            yield normalise(self.images[chosen]), self.labels[chosen]


def network_of(size: int, width: float, classes: int = CLASSES) -> FloatNetwork:
    """A 21-block network, not trained."""
    torch.manual_seed(0)
    space = Space(input_size=size, width=width, classes=classes)
    return FloatNetwork(space.network([CHOICE] * len(space.blocks)))


def quiet(_step: object) -> None:
    """Shows nothing."""


def step_seconds(
    model: nn.Module, optimizer: torch.optim.SGD, batch: tuple[Tensor, Tensor]
) -> float:
    """One step's time, s."""
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(functional.cross_entropy(model(batch[0]), batch[1]))
    optimizer.step()
    return time.perf_counter() - start


def step_ratios(size: int, width: float, count: int, rounds: int) -> dict[str, float]:
    """Medians of float and finetuning steps (ms) and their ratios."""
    model = network_of(size, width).train()
    batch = next(iter(Made(count, size, count, seed=0)))
    live = QuantizedNetwork.from_float(model)
    frozen = QuantizedNetwork.from_float(model)
    for network in (live, frozen):
        calibrate(network, [batch])
        network.train()
    frozen.freeze_norms()
    frozen.freeze_ranges()
    kinds: dict[str, nn.Module] = {"float": model, "qat": live, "qat_frozen": frozen}
    theirs = torchao_network(model.network, batch[0])
    if theirs is not None:
        kinds["torchao"] = theirs
    optimizers = {
        name: torch.optim.SGD(kind.parameters(), 1e-4, 0.9, nesterov=True)
        for name, kind in kinds.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds + 1):
        for name, kind in kinds.items():
            seconds[name].append(step_seconds(kind, optimizers[name], batch))
    ms = {name: 1000 * statistics.median(taken[1:]) for name, taken in seconds.items()}
    for name, value in ms.items():
        print(f"{value:9.1f} ms  {name} step, batch {count}, {size} px, width {width:g}")
    return {
        "float_step_ms": ms["float"],
        **{
            f"{name}_step_ratio": taken / ms["float"]
            for name, taken in ms.items()
            if name != "float"
        },
    }


def best_of(tries: int, run: Callable[[], Any]) -> float:
    """Least time of some tries, s."""
    taken = []
    for _ in range(tries):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def export_seconds(size: int) -> float:
    """Time to write a full 21-block network of 1,000 classes in int8, s."""
    model = network_of(size, 1.0, classes=1000).eval()
    batch = next(iter(Made(2, size, 2, seed=0)))
    quantized = quantize_post_training(model, cast("Any", [batch]))
    operators = quantized.network.operators
    taken = best_of(3, lambda: encode(operators, quantized.parameters_for_export()))
    print(f"{1000 * taken:9.1f} ms  export, {size} px, width 1, best of 3")
    return taken


def parity(size: int, width: float, images: int, epochs: int) -> dict[str, float]:
    """Agreement and steps between a finetuned network and its file, worst of the kernel sets."""
    model = network_of(size, width)
    batches = Made(960, size, 32, seed=2, mixed=MIXED)
    training = TrainConfig(epochs=epochs, learning_rate=0.05, rising_epochs=1)
    train(model, batches, training, quiet)
    finetuning = QatConfig(epochs=2, norm_epochs=1, frozen_epochs=1, learning_rate=0.005)
    quantized, history = finetune_int8(model, batches, finetuning, quiet)
    test = Made(images, size, images, seed=3, mixed=MIXED)
    file = encode(quantized.network.operators, quantized.parameters_for_export())
    # as many as reference kernels run of one set of images
    parts = (torch.split(one, MOST_BY_REFERENCE) for one in (test.images, test.labels))
    found = [
        verify(file, quantized, CentralCrops.of(*part)).parity for part in zip(*parts, strict=True)
    ]
    sets: dict[str, dict[str, float]] = {}
    for kernels in KERNEL_SETS:
        held = [part[kernels] for part in found]
        shares = {
            name: statistics.mean(getattr(part, name) for part in held)
            for name in ("accuracy", "top1_agreement", "tied_agreement")
        }
        sets[kernels] = {**shares, "max_output_steps": max(part.max_steps or 0 for part in held)}
        print(
            f"{kernels:>9}: top-1 {shares['accuracy']:.1%}, agreement "
            f"{shares['top1_agreement']:.2%}, {shares['tied_agreement']:.2%} with ties, "
            f"{sets[kernels]['max_output_steps']} output steps"
        )
    return {
        "top1_agreement": min(one["top1_agreement"] for one in sets.values()),
        "tied_agreement": min(one["tied_agreement"] for one in sets.values()),
        "max_output_steps": max(one["max_output_steps"] for one in sets.values()),
        "parity_images": images,
        "parity_accuracy": sets["xnnpack"]["accuracy"],
        "finetuning_accuracy": history[-1].accuracy,
    }


def random_network(size: int, classes: int, seed: int) -> FloatNetwork:
    """A network of any blocks and width, not trained, with running statistics of some images."""
    torch.manual_seed(seed)
    chance = random.Random(seed)  # noqa: S311 - no secret
    width = chance.choice((0.35, 0.5, 0.75, 1.0))
    space = Space(input_size=size, width=width, classes=classes)
    model = FloatNetwork(space.network([chance.randrange(at.choices) for at in space.blocks]))
    for images, _ in Made(16 * STATISTICS_BATCHES, size, 16, seed):
        with torch.no_grad():
            model.train()(images)
    return model.eval()


#: classes, side (px) and seed of a random network, and the images that it was compared on
_Network = tuple[int, int, int, int]


def output_steps(networks: int, images: int, rows: Path | None) -> dict[str, list[int]]:
    """The most output steps that any kernel set is apart from torch, a network each.

    Args:
        networks: random ones of each number of classes and size.
        images: each is compared on.
        rows: file of JSON lines, one a network; those that it has are not run again.
    """
    known: dict[_Network, int] = {}
    for line in rows.read_text().splitlines() if rows is not None and rows.exists() else ():
        row = json.loads(line)
        known[row["classes"], row["px"], row["seed"], row["images"]] = row["steps"]
    kinds = [(classes, size) for classes in CLASS_COUNTS for size in SIZES]
    for seed in range(networks):
        for classes, size in kinds:
            key = (classes, size, seed, images)
            if key in known:
                continue
            known[key] = steps_of(classes, size, seed, images)
            if rows is not None:
                row = dict(zip(("classes", "px", "seed", "images"), key, strict=True))
                with rows.open("a") as lines:
                    lines.write(json.dumps({**row, "steps": known[key]}) + "\n")
    found: dict[str, list[int]] = {}
    for classes, size in kinds:
        steps = [known[classes, size, seed, images] for seed in range(networks)]
        found[f"{classes} classes, {size} px"] = steps
        print(
            f"{max(steps):3d} output steps at most, median {statistics.median(steps):g}: "
            f"{classes} classes, {size} px, {networks} random networks, {images} images each"
        )
    return found


def steps_of(classes: int, size: int, seed: int, images: int) -> int:
    """The most output steps between a random network and its file, of all kernel sets."""
    model = random_network(size, classes, seed)
    quantized = quantize_post_training(model, Made(64, size, 32, seed + 1))
    file = encode(quantized.network.operators, quantized.parameters_for_export())
    test = Made(images, size, images, seed + 2)
    return verify(file, quantized, CentralCrops.of(test.images, test.labels)).worst.max_steps or 0


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller, in a minute or two")
    parser.add_argument("--networks", type=int, help="random ones; 100, or with --quick 2")
    parser.add_argument("--rows", type=Path, help="JSON lines that the random ones are kept in")
    parser.add_argument("--only", choices=PARTS, action="append", help="may be repeated")
    given = parser.parse_args()
    quick: bool = given.quick
    parts: list[str] = given.only or list(PARTS)
    networks = given.networks if given.networks is not None else 2 if quick else 100
    torch.set_num_threads(1)
    keep_freed_memory()
    setting = (64, 0.5, 16, 5) if quick else (96, 1.0, 16, 15)
    numbers: dict[str, float] = {}
    if "steps" in parts:
        numbers |= step_ratios(*setting)
    if "export" in parts:
        numbers["export_s"] = export_seconds(96 if quick else 224)
    if "parity" in parts:
        numbers |= parity(96, 0.35, 40, 1) if quick else parity(96, 0.35, 1_200, 2)
    steps: dict[str, list[int]] = {}
    if "random" in parts:
        steps = output_steps(networks, 10 if quick else 30, given.rows)
    size, width, batch, rounds = setting
    print(
        json.dumps(
            {
                **numbers,
                "max_output_steps_of_random": {name: max(held) for name, held in steps.items()},
                "random_networks": networks,
                "step_px": size,
                "step_width": width,
                "batch": batch,
                "rounds": rounds,
            }
        )
    )


if __name__ == "__main__":
    main()
