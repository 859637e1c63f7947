"""What a search's steps cost, and how near to its target it ends.

Steps alternate in one process: a plain training step of a path as an ordinary network, our weight
step of the same path, architecture steps in both ways. Each ratio is the worst over one thread
and all cores. `two_speedup_SIZE` is the time of the released code's `two` step (`original_step.py`)
over ours. `kept_memory_speedup_SIZE` is that of a training step of MobileNetV2 as the C library
hands out memory, over one with `keep_freed_memory`, which all else here runs with: two processes
in turn, one thread each.
`memory_ratio` compares greatest allocations as torch's profiler counts them.
`target_miss_percent` is the worst of three targets, one search each, on crops of photographs.
The last line is one JSON object. `--quick` takes fewer rounds and smaller batches: for a look,
not for figures.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

# Python looks beside a script: `benchmarks` itself lies in the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor
from torch.optim import SGD, Adam
from torch.profiler import ProfilerActivity, profile

from benchmarks.original_step import two_step
from netspec.networks import mobilenet_v2
from netspec.operators import MBConv, Operator
from netspec.spaces import Space, Stage
from search_client.data.batches import Batch, PlainBatches, TrainingBatches
from search_client.data.folders import ImageSet, read_folder, split_by_class, stored_size
from search_client.demo.photographs import write_photographs
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import TargetLoss
from search_client.latency.objective import Goal
from search_client.networks.layers import FloatNetwork
from search_client.search.architecture_step import ArchitectureSteps
from search_client.search.config import SearchConfig
from search_client.search.search import search
from search_client.supernet.binary_gates import Gradient, sample_path
from search_client.supernet.supernet import Supernet
from search_client.supernet.variants import Family
from search_client.training.memory import keep_freed_memory
from search_client.training.step import Mean, WeightConfig, weight_step

#: input size (px) and batch
SIZES = ((64, 16), (224, 8))
#: likewise, beside the released code
ORIGINAL_SIZES = ((64, 16), (112, 8))
#: likewise, with and without memory that is kept
MEMORY_SIZES = ((64, 64), (160, 32))
ROUNDS = 15
#: ways from the space's fastest network to its slowest
TARGETS = (0.35, 0.5, 0.7)
LATENCY_ROUNDS = 200


def made_up_ms(operator: Operator) -> float:
    """A latency from multiplications and memory: larger kernels and expansions cost more."""
    if not isinstance(operator, MBConv):
        return 0.05
    middle = operator.in_channels * operator.expand
    places = operator.output_size**2
    products = places * middle * (operator.kernel**2 + operator.in_channels + operator.out_channels)
    return 0.05 + products / 2e6 + places * middle / 2e5


def latency_of(space: Space) -> ExpectedLatency:
    """E[LAT] of a space under the made-up table."""
    entries = {operator.key: made_up_ms(operator) for operator in space.operators()}
    return ExpectedLatency.of_space(space, entries, "made up")


@dataclass(frozen=True)
class Steps:
    """The steps that are compared, of one input size."""

    family: Family
    batch: Batch
    config: WeightConfig
    generator: torch.Generator

    @property
    def supernet(self) -> Supernet:
        """The only one."""
        return self.family.supernet(0)

    def plain(self, path: list[int]) -> Callable[[], None]:
        """A training step of a path as an ordinary network, once warmed up."""
        model = FloatNetwork(self.supernet.space.network(path)).train()
        optimizer = self.config.optimizer(model.parameters())

        def step() -> None:
            weight_step(model, self.batch, optimizer, self.config, Mean())

        step()
        return step

    def weight(self, optimizer: SGD, path: list[int]) -> None:
        """Our weight step of a path."""
        weight_step(
            lambda images: cast("Tensor", self.family(0, images, path)),
            self.batch,
            optimizer,
            self.config,
            Mean(),
        )


def steps_of(size: int, count: int) -> Steps:
    """Steps of the whole ProxylessNAS space at an input size (px) and batch."""
    torch.manual_seed(0)
    images, labels = torch.randn(count, 3, size, size), torch.randint(1000, (count,))
    generator = torch.Generator().manual_seed(0)
    return Steps(
        Family(Space(input_size=size)).train(), (images, labels), WeightConfig(), generator
    )


def timed_s(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def step_ratios(size: int, count: int, rounds: int) -> dict[str, float]:
    """Ratios of our steps at one input size, medians over alternating rounds."""
    steps = steps_of(size, count)
    goal = Goal.single(latency_of(steps.supernet.space), 10.0)
    optimizer = steps.config.optimizer(steps.family.weights())
    gradients: tuple[Gradient, ...] = ("two", "full_v2")
    architecture = {
        gradient: ArchitectureSteps(steps.family, goal, TargetLoss(), gradient, 1e-6, steps.config)
        for gradient in gradients
    }
    taken: dict[str, list[float]] = {name: [] for name in ("plain", "weight", *gradients)}
    for number in range(rounds + 1):
        path = sample_path(steps.supernet, steps.generator)
        runs: dict[str, Callable[[], object]] = {
            "plain": steps.plain(path),
            "weight": partial(steps.weight, optimizer, path),
        }
        for gradient in gradients:
            step = architecture[gradient].step
            runs[gradient] = partial(step, [steps.batch], steps.generator, 0.0)
        for name, run in runs.items():
            seconds = timed_s(run)
            if number > 0:
                taken[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    shown = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in medians.items())
    print(f"{size:4} px, batch {count}, {torch.get_num_threads()} threads: {shown}")
    return {
        f"weight_step_ratio_{size}": _ratio(taken["weight"], taken["plain"]),
        f"two_step_ratio_{size}": _ratio(taken["two"], taken["weight"]),
        f"full_step_ratio_{size}": _ratio(taken["full_v2"], taken["weight"]),
    }


def two_speedup(size: int, count: int, rounds: int) -> float:
    """Time of the released code's `two` step over ours, median over alternating rounds."""
    steps = steps_of(size, count)
    goal = Goal.single(latency_of(steps.supernet.space), 10.0)
    ours = ArchitectureSteps(steps.family, goal, TargetLoss(), "two", 1e-6, steps.config)
    adam = Adam([steps.supernet.alpha], lr=1e-6, betas=(0.0, 0.999))
    taken: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        original = partial(two_step, steps.supernet, steps.batch, adam, steps.generator)
        own = partial(ours.step, [steps.batch], steps.generator, 0.0)
        taken.append((timed_s(original), timed_s(own)))
    medians = [1000 * statistics.median(values) for values in zip(*taken[1:], strict=True)]
    print(
        f"{size:4} px, batch {count}, {torch.get_num_threads()} threads: released code's two "
        f"{medians[0]:.0f} ms, ours {medians[1]:.0f} ms"
    )
    return _ratio(*map(list, zip(*taken[1:], strict=True)))


def training_steps(kept: bool, size: int, count: int, asked: Connection) -> None:
    """Answer how long a training step of MobileNetV2 takes, s, as often as it is asked."""
    torch.set_num_threads(1)
    if kept:
        keep_freed_memory()
    model = FloatNetwork(mobilenet_v2(size)).train()
    config = WeightConfig()
    optimizer = config.optimizer(model.parameters())
    batch = torch.randn(count, 3, size, size), torch.randint(1000, (count,))
    while asked.recv():
        asked.send(timed_s(lambda: weight_step(model, batch, optimizer, config, Mean())))


def kept_memory_speedup(size: int, count: int, rounds: int) -> float:
    """Time of a step with memory as the C library gives it over one with it kept, median."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    for kept in (False, True):
        here, there = context.Pipe()
        arguments = (kept, size, count, there)
        context.Process(target=training_steps, args=arguments, daemon=True).start()
        pipes.append(here)
    taken: list[list[float]] = [[], []]
    for _ in range(rounds + 2):
        for pipe, values in zip(pipes, taken, strict=True):
            pipe.send(True)
            values.append(pipe.recv())
    for pipe in pipes:
        pipe.send(False)
    plain, kept_s = (values[2:] for values in taken)
    medians = [1000 * statistics.median(values) for values in (plain, kept_s)]
    print(f"{size:4} px, batch {count}: step {medians[0]:.0f} ms, memory kept {medians[1]:.0f} ms")
    return _ratio(plain, kept_s)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """Median over rounds: what slows the machine down for a while slows both."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def expected_latency_ms() -> float:
    """Time of E[LAT] and its gradient to alpha, median."""
    family = Family(Space(input_size=64))
    goal = Goal.single(latency_of(family.variants[0].space), 10.0)
    alpha = family.supernet(0).alpha

    def both() -> None:
        torch.autograd.grad(goal.expected_ms(family, 0).sum(), alpha)

    return 1000 * statistics.median(timed_s(both) for _ in range(LATENCY_ROUNDS))


def peak_bytes(run: Callable[[], object]) -> int:
    """Most memory that a call's tensors take at once, beyond what there was."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in profiled.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak


def memory_ratio(size: int, count: int) -> float:
    """Peak of our steps over the plain step's with the supernet's weights and momentum."""
    steps = steps_of(size, count)
    weights = sum(parameter.nbytes for parameter in steps.family.weights())
    goal = Goal.single(latency_of(steps.supernet.space), 10.0)
    # One path with the widest candidate everywhere: the greatest there is.
    path = [len(block.candidates) - 1 for block in steps.supernet.space.blocks]
    optimizer = steps.config.optimizer(steps.family.weights())
    plain = peak_bytes(steps.plain(path))

    weight = partial(steps.weight, optimizer, path)
    weight()
    peaks = {"weight": peak_bytes(weight)}
    with torch.no_grad():
        for block, choice in enumerate(path):
            steps.supernet.alpha[block, choice] = 20.0
    gradients: tuple[Gradient, ...] = ("two", "full_v2")
    for gradient in gradients:
        architecture = ArchitectureSteps(
            steps.family, goal, TargetLoss(), gradient, 1e-6, steps.config
        )
        step = partial(architecture.step, [steps.batch], steps.generator, 0.0)
        step()
        peaks[gradient] = peak_bytes(step)
    held = 2 * weights
    shown = ", ".join(f"{name} {value / 2**20:.0f}" for name, value in peaks.items())
    print(f"MiB at {size} px: plain {plain / 2**20:.0f}, {shown}; held {held / 2**20:.0f}")
    return (max(peaks.values()) + held) / (plain + held)


def target_misses(images: ImageSet, epochs: int) -> list[float]:
    """|LAT / R - 1| in percent of the derived network for each target, one search each."""
    space = Space(
        input_size=32,
        width=0.5,
        classes=len(images.classes),
        kernels=(3, 5),
        stages=(
            Stage(channels=24, depth=2, stride=2),
            Stage(channels=40, depth=3, stride=2),
            Stage(channels=96, depth=3, stride=1),
            Stage(channels=192, depth=2, stride=2),
        ),
    )
    latency = latency_of(space)
    exists = Supernet(space).exists
    costs = latency.costs_ms.masked_fill(~exists, torch.inf)
    fastest = latency.fixed_ms + float(costs.amin(dim=1).sum())
    slowest = latency.fixed_ms + float(latency.costs_ms.amax(dim=1).sum())
    training, held_out = split_by_class(images, 0.3, 0)
    misses = []
    for way in TARGETS:
        reference = fastest + way * (slowest - fastest)
        torch.manual_seed(0)
        result = search(
            Family(space),
            Goal.single(latency, reference),
            TrainingBatches(training, 32, 32, seed=0),
            PlainBatches(held_out, 32, 32, shuffle_seed=0),
            SearchConfig(
                latency_loss=TargetLoss(weight=1.0),
                gradient="full_v2",
                warmup_epochs=1,
                warmup_learning_rate=0.02,
                joint_epochs=epochs,
                joint_learning_rate=0.02,
                weight_steps_per_architecture_step=2,
                architecture_learning_rate=0.1,
                entropy_weight=2.0,
            ),
        )
        found = 100 * (result.found.latency_ms[0] / reference - 1)
        likeliest = 100 * (result.most_likely.latency_ms[0] / reference - 1)
        expected = 100 * (result.expected_ms[0] / reference - 1)
        print(
            f"reference {reference:.3f} ms: E[LAT] {expected:+.2f} %, derived {found:+.2f} %, "
            f"argmax {likeliest:+.2f} %"
        )
        misses.append(abs(found))
    return misses


def photographs(count: int) -> ImageSet:
    """Crops of ten photographs."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "data"
        write_photographs(where, stored_size(32), count, 10, 0, lambda *_: None)
        return read_folder(where, stored_size(32), lambda *_: None)[0]


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look within a minute")
    quick = parser.parse_args().quick
    every = torch.get_num_threads()
    keep_freed_memory()
    numbers: dict[str, float] = {
        f"kept_memory_speedup_{size}": kept_memory_speedup(
            size, *((2, 3) if quick else (count, ROUNDS))
        )
        for size, count in MEMORY_SIZES
    }
    for threads in sorted({1, every}):
        torch.set_num_threads(threads)
        for size, count in SIZES:
            batch, rounds = (2, 3) if quick else (count, ROUNDS)
            for name, value in step_ratios(size, batch, rounds).items():
                numbers[name] = max(value, numbers.get(name, 0.0))
        for size, count in ORIGINAL_SIZES:
            name = f"two_speedup_{size}"
            speedup = two_speedup(size, *((2, 3) if quick else (count, ROUNDS)))
            numbers[name] = min(speedup, numbers.get(name, math.inf))
        if quick:
            break
    torch.set_num_threads(1)
    numbers["expected_latency_ms"] = expected_latency_ms()
    numbers["memory_ratio"] = max(memory_ratio(size, 2 if quick else n) for size, n in SIZES)
    misses = target_misses(photographs(200 if quick else 600), 3 if quick else 6)
    numbers["target_miss_percent"] = max(misses)
    print(json.dumps({name: round(value, 4) for name, value in numbers.items()}))


if __name__ == "__main__":
    main()
