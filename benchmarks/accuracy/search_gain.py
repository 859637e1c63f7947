"""What the search gains on an image folder, at equal measured int8 latency on this host.

Arms: networks that searches found (one search a seed), random networks on target, the best of
random search on the same trained supernets with as many scores, and MobileNetV2 at the best of
its sizes and widths that is not slower than the reference. Every network is trained by the
recipe's `train`, with the seed of its place in the arm. With `train.start = "supernet"` those of
the space are finetuned from a supernet's weights, MobileNetV2 goes through all the epochs alone,
and some found and some random networks do so, too, as arms of their own.

`--supernets` trains fewer of them than there are searches: the seeds take turns, and differ in what
they draw. Scores of a supernet are kept, for they are the same for whoever asks.

Resumable, in four steps, each of which goes on where it ended:

- `choose` trains the supernets, searches, and draws: every network is a JSON line of `--results`.
  Of every search its best ten are kept, and 150 random networks.
  It needs a profiler with a table, from `search-client profile --recipe cifar --classes 10`;
- `measure` has that profiler's agent measure all of them, in int8, in the same shuffled rounds.
  What is compared is within 2 % of the reference there: the first of a search's best that is,
  and the first random ones that are. Where none is, `--aim-ms` of another `choose` helps. Those
  are measured once more, beside each other;
- `score` has the first supernet score these random networks;
- `train` adds a line for every finished training. What is trained alone needs nothing but the
  lines and the images, so that it goes on elsewhere; what is finetuned needs the run folder.

`--hours` starts no training after so many. The last line is one JSON object; what is not known yet
is left out of it.

Example: python benchmarks/accuracy/search_gain.py choose --data photos/ --run runs/search_gain
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

# Python looks beside a script: `benchmarks` itself lies two folders above.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from rich.console import Console

from benchmarks.accuracy import gain_networks
from benchmarks.accuracy.gain_lines import Lines
from benchmarks.accuracy.gain_networks import Choosing
from benchmarks.accuracy.gain_report import report
from netspec.client import ProfilerClient
from netspec.console.connection import DEFAULT_URL
from netspec.networks import Network
from netspec.wire import JobRequest, Target
from search_client.data.folders import LabelledImages
from search_client.deployment.trained_network import unfinished_path
from search_client.progress import Stages
from search_client.recipe import Recipe, read_recipe
from search_client.runs.load import LoadedRun, read_run
from search_client.stages.data import read_data
from search_client.stages.measure import measure
from search_client.stages.train import train_network
from search_client.training.distributed import device

STEPS = ("choose", "measure", "score", "train")
#: of those networks, as many that are trained alone where the arm itself starts from a supernet
ALONE = {"search alone": 4, "random alone": 4}
#: trainings of the best MobileNetV2
MOBILENET_SEEDS = 4


@dataclass(frozen=True)
class Task:
    """One network to train."""

    arm: str
    seed: int
    network: Network

    @property
    def alone(self) -> bool:
        """Whether it goes through all the epochs, from drawn weights."""
        return self.arm in ALONE or self.arm == "mobilenet"


class Experiment:
    """All arms on one target."""

    def __init__(self, given: argparse.Namespace, lines: Lines, stages: Stages) -> None:
        self.given = given
        self.lines = lines
        self.stages = stages
        # Images are kept for the space's sizes: whoever scores by a supernet sees the same.
        base = read_recipe(given.recipe, given.set).for_classes(given.classes)
        self.settings = base.model_copy(update={"baselines": ()})
        self._images: dict[int, tuple[LabelledImages, LabelledImages]] = {}
        self._runs: dict[int, LoadedRun] = {}

    def images(self, size: int) -> tuple[LabelledImages, LabelledImages]:
        """Training and test images, stored for one input size."""
        of_size = self.settings.model_copy(update={"sizes": (size,)})
        if of_size.input_size not in self._images:
            self._images[of_size.input_size] = read_data(self.given.data, of_size, self.stages)
        return self._images[of_size.input_size]

    def choosing(self, client: ProfilerClient, target: Target) -> Choosing:
        """What adds a line for every network, and for scores of the random ones."""
        given, settings = self.given, self.settings
        return Choosing(given, settings, client, target, self.lines, self.images, self.stages)

    def measure(self, client: ProfilerClient) -> None:
        """Latencies of all networks, in int8, then of those that are compared, once more.

        Each in the same shuffled rounds.
        """
        rows = {row["content_hash"]: row["network"] for row in self.lines.of("network")}
        known = {row["content_hash"] for row in self.lines.of("latency")}
        if rows.keys() - known:
            self._measure(client, [Network.model_validate(row) for row in rows.values()], "latency")
        compared = {
            network.content_hash: network
            for arm in (*gain_networks.SEEDS, "mobilenet")
            for network in self.lines.networks(arm, gain_networks.SEEDS.get(arm))
        }
        if not self.lines.of("compared_latency"):
            self._measure(client, [*compared.values()], "compared_latency")

    def _measure(self, client: ProfilerClient, networks: Sequence[Network], kind: str) -> None:
        request = JobRequest(
            name="search gain",
            target_id=self.lines.target_id,
            networks=tuple(networks),
            rounds=self.given.rounds,
            remeasure=True,
        )
        entries = client.entries(measure(client, request, "networks", self.stages).id)
        for network in networks:
            ms = entries[network.content_hash].value_ms
            self.lines.add({"kind": kind, "content_hash": network.content_hash, "ms": ms})

    def train(self) -> None:
        """Train what has no line yet."""
        began = time.monotonic()
        while task := next(self.missing(), None):
            if time.monotonic() - began > 3600 * self.given.hours:
                return
            self._train(task)

    def missing(self) -> Iterator[Task]:
        """Trainings without a line, arms in turn: an unfinished experiment says something, too."""
        alone = ALONE if self.settings.train.start == "supernet" else {}
        arms = (*gain_networks.SEEDS, *alone, "mobilenet")
        rows = zip_longest(*([*self._tasks(name)] for name in arms if name in self.given.arms))
        for task in (task for row in rows for task in row if task is not None):
            content_hash = task.network.content_hash
            if not self.lines.of(
                "training", arm=task.arm, seed=task.seed, content_hash=content_hash
            ):
                yield task

    def _tasks(self, arm: str) -> Iterator[Task]:
        of_arm = arm.removesuffix(" alone")
        count = ALONE.get(arm) or gain_networks.SEEDS.get(arm)
        networks = self.lines.networks(of_arm, count)
        if arm != "mobilenet":
            yield from (Task(arm, seed, network) for seed, network in enumerate(networks))
            return
        yield from (Task(arm, 0, network) for network in networks)
        known = {
            row["content_hash"]: row["accuracy"]
            for row in self.lines.of("training", arm=arm, seed=0)
        }
        if networks and all(network.content_hash in known for network in networks):
            best = max(networks, key=lambda one: float(known[one.content_hash]))
            yield from (Task(arm, seed, best) for seed in range(1, MOBILENET_SEEDS))

    def _train(self, task: Task) -> None:
        network, settings = task.network, self._seeded(task.seed)
        inherits = settings.train.start == "supernet" and not task.alone
        # Random networks go with the first supernet, a search's with its own.
        supernet = self._run(0 if task.arm == "random" else task.seed) if inherits else None
        config = settings.train.inheriting() if inherits else settings.train
        weights = self.given.run / f"{task.arm}-{task.seed}-{network.content_hash[:8]}.pt"
        began = time.monotonic()
        _, accuracy = train_network(
            network.with_precision("float32"),
            *self.images(network.input_size),
            settings,
            self.stages,
            weights=weights,
            resume=unfinished_path(weights).is_file(),
            supernet=supernet,
        )
        self.lines.add(
            {
                "kind": "training",
                "arm": task.arm,
                "seed": task.seed,
                "name": network.name,
                "content_hash": network.content_hash,
                "accuracy": accuracy,
                "start": "supernet" if inherits else "scratch",
                "epochs": config.epochs,
                "arithmetic": config.arithmetic,
                "seconds": round(time.monotonic() - began),
                "device": str(device()),
                "threads": torch.get_num_threads(),
            }
        )

    def _run(self, seed: int) -> LoadedRun:
        seed %= self.given.supernets
        if seed not in self._runs:
            self._runs = {seed: read_run(self.given.run / f"seed-{seed}")}
            self._runs[seed].family.to(device())
        return self._runs[seed]

    def _seeded(self, seed: int) -> Recipe:
        search = self.settings.search.model_copy(update={"seed": seed})
        return self.settings.model_copy(update={"seed": seed, "search": search})


def _step(name: str) -> str:
    if name not in STEPS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(STEPS)}")
    return name


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what is not done yet, and print what it came to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # `choices` would refuse that there are none.
    parser.add_argument(
        "steps",
        nargs="*",
        type=_step,
        metavar="{" + ",".join(STEPS) + "}",
        help="none: print what is known",
    )
    parser.add_argument("--data", type=Path, help="folder of images")
    parser.add_argument("--run", type=Path, default=Path("runs") / "search_gain")
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results" / "search_gain.jsonl"
    )
    parser.add_argument("--recipe", default="cifar")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--reference", default="48-0.5", help="MobileNetV2: size and width")
    parser.add_argument(
        "--aim-ms", type=float, help="predicted, of the space; the reference's unless measured so"
    )
    parser.add_argument("--profiler-url", default=DEFAULT_URL)
    parser.add_argument("--snapshot", type=Path, help="choose by a saved table")
    parser.add_argument("--target", help="where there are several")
    parser.add_argument("--rounds", type=int, default=60, help="visits of each network")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hours", type=float, default=math.inf, help="start nothing new after")
    parser.add_argument(
        "--supernets", type=int, default=gain_networks.SEEDS["search"], help="to train"
    )
    every = [*gain_networks.SEEDS, *ALONE, "mobilenet"]
    parser.add_argument("--arms", nargs="+", choices=every, default=every, help="to train")
    parser.add_argument("--plot", type=Path, help="of the accuracies, .svg")
    parser.add_argument("--set", action="append", default=[], help="as of search-client search")
    given = parser.parse_args(arguments)
    if given.steps and given.data is None and given.steps != ["measure"]:
        parser.error("choose and train want the images: --data FOLDER")
    torch.set_num_threads(given.threads)
    given.run.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        target_id: str | None = given.target
        if {"choose", "measure", "score"} & {*given.steps}:
            file, url = given.snapshot, given.profiler_url
            client = opened.enter_context(
                ProfilerClient.of_file(file) if file else ProfilerClient(url)
            )
            target = client.target(given.target)
            target_id = target.id
        lines = Lines(given.results, target_id)
        experiment = Experiment(given, lines, Stages(Console()))
        if "choose" in given.steps:
            experiment.choosing(client, target).choose()
        if "measure" in given.steps:
            experiment.measure(client)
        if "score" in given.steps:
            experiment.choosing(client, target).score()
        if "train" in given.steps:
            experiment.train()
    print(json.dumps(report(lines.rows, given.plot)))


if __name__ == "__main__":
    main()
