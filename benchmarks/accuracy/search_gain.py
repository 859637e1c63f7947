"""What the search gains on an image folder, at equal measured int8 latency on this host.

Arms: networks that searches found (one search a seed), random networks on target, the best of
random search on the same trained supernets with as many scores, and MobileNetV2 at the best of
its sizes and widths that is not slower than the reference. Every network is trained by the
recipe's `train`, with the seed of its place in the arm. With `train.start = "supernet"` those of
the space are finetuned from a supernet's weights, MobileNetV2 goes through all the epochs alone,
and some found and some random networks do so, too, as arms of their own.

`--supernets` trains fewer of them than there are searches: the seeds take turns, and differ in what
they draw. Scores of a supernet are kept, for they are the same for whoever asks.

Resumable: every finished training appends one JSON line to `--results`, every supernet is a run
folder in `--run`, and what is there is not done again. `--hours` starts nothing new after so many.
Once all are trained, the profiler measures every network in the same rounds. The last line is one
JSON object; what is not known yet is left out of it.

Needs a profiler with a table, from `search-client profile --recipe cifar --classes 10`, and, to
measure at the end, an agent; or a table that `search-client snapshot` saved, with `--snapshot`.

Example: python benchmarks/accuracy/search_gain.py --data photos/ --run runs/search_gain
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

# Python looks beside a script: `benchmarks` itself lies two folders above.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from rich.console import Console

from benchmarks.accuracy.gain_report import report
from netspec.client import ProfilerClient
from netspec.console.connection import DEFAULT_URL
from netspec.errors import MissingEntries
from netspec.networks import Network, mobilenet_v2
from netspec.wire import JobRequest, Target
from search_client.comparison.baselines import scorer_of
from search_client.data.folders import LabelledImages
from search_client.deployment.trained_network import unfinished_path
from search_client.latency.prediction import predicted_ms
from search_client.pipeline import Pipeline
from search_client.progress import Stages
from search_client.recipe import Recipe, read_recipe
from search_client.runs.load import CHECKPOINT, LoadedRun, family_of, goal_of, read_run
from search_client.runs.record import read_record
from search_client.search.candidates import Candidate, OnTarget
from search_client.search.evolution import evolution, random_search
from search_client.search.scoring import Scorer
from search_client.stages.data import read_data
from search_client.stages.latency_tables import published
from search_client.stages.measure import measure
from search_client.stages.train import train_network
from search_client.supernet.variants import Family
from search_client.training.distributed import device

#: of networks to train, by arm. Source: the numbers that tell 1 point from nothing at a standard
#: deviation of 1 point.
SEEDS = {"search": 8, "random": 12, "random search": 4, "mobilenet": 4}
#: of those networks, as many that are trained alone where the arm itself starts from a supernet
ALONE = {"search alone": 4, "random alone": 4}
#: kept apart from the seeds of searches
RANDOM_SEED = 10_000
#: image sizes and widths at which MobileNetV2 is looked for
SIZES = (24, 32, 40, 48, 64)
WIDTHS = (0.35, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Task:
    """One network to train."""

    arm: str
    seed: int
    #: made when it is asked for: a search takes hours
    network: Callable[[], Network]

    @property
    def alone(self) -> bool:
        """Whether it goes through all the epochs, from drawn weights."""
        return self.arm in ALONE or self.arm == "mobilenet"


class Results:
    """Lines of a file: `training`, `score` and `latency`, each told by what it is about.

    Networks of one latency on one target are of others on the next: only a target's own lines
    count. Without one, the target of the last line.
    """

    def __init__(self, path: Path, target_id: str | None = None) -> None:
        self.path = path
        text = path.read_text() if path.is_file() else ""
        every = [json.loads(line) for line in text.splitlines()]
        self.target_id = target_id or (every[-1]["target"] if every else "")
        self.rows: list[dict[str, Any]] = [row for row in every if row["target"] == self.target_id]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind."""
        return [row for row in self.rows if row["kind"] == kind]

    def add(self, row: dict[str, Any]) -> None:
        """One more line, on disk at once."""
        row = {**row, "target": self.target_id}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)


class Experiment:
    """All arms on one target."""

    def __init__(self, given: argparse.Namespace, client: ProfilerClient, stages: Stages) -> None:
        self.given = given
        self.client = client
        self.target: Target = client.target(given.target)
        self.stages = stages
        self.results = Results(given.results, self.target.id)
        base = read_recipe(given.recipe, given.set).for_classes(given.classes)
        prices = published(client, self.target, base, base.searched_operators(), stages)
        self.table = prices.by_target[0]
        size, width = given.reference.split("-")
        reference = mobilenet_v2(int(size), float(width), given.classes, base.precision)
        self.reference_ms = predicted_ms(self.table, reference)
        # Images are kept for the space's sizes: whoever scores by a supernet sees the same.
        self.settings = base.model_copy(
            update={"latency_ref_ms": self.reference_ms, "baselines": ()}
        )
        self._runs: dict[int, LoadedRun] = {}
        self._images: dict[int, tuple[LabelledImages, LabelledImages]] = {}

    def images(self, size: int) -> tuple[LabelledImages, LabelledImages]:
        """Training and test images, stored for one input size."""
        of_size = self.settings.model_copy(update={"sizes": (size,)})
        if of_size.input_size not in self._images:
            self._images[of_size.input_size] = read_data(self.given.data, of_size, self.stages)
        return self._images[of_size.input_size]

    def seeded(self, seed: int) -> Recipe:
        """The settings of one seed."""
        search = self.settings.search.model_copy(update={"seed": seed})
        return self.settings.model_copy(update={"seed": seed, "search": search})

    def run(self, seed: int) -> LoadedRun:
        """The search that trained a seed's supernet; searched first where it is not."""
        seed %= self.given.supernets
        folder = self.given.run / f"seed-{seed}"
        if not (folder / "run.json").is_file() or read_record(folder).found is None:
            Pipeline(
                self.client,
                self.target,
                self.seeded(seed),
                self.given.data,
                folder,
                self.stages,
                resume=(folder / CHECKPOINT).is_file(),
            ).search_only()
        if seed not in self._runs:
            self._runs = {seed: read_run(folder)}
            self._runs[seed].family.to(device())
        return self._runs[seed]

    @property
    def seeds(self) -> dict[str, int]:
        """Networks to train, by arm."""
        return SEEDS | (ALONE if self.settings.train.start == "supernet" else {})

    def tasks(self) -> Iterator[Task]:
        """Every training, arms in turn, so that an unfinished experiment says something, too."""
        arms = [[*self._of(name)] for name in self.seeds]
        for row in zip_longest(*arms):
            yield from (task for task in row if task is not None)

    def _of(self, arm: str) -> Iterator[Task]:
        if arm.startswith("random") and arm != "random search":
            for seed, candidate in enumerate(self.drawn()[: self.seeds[arm]]):
                yield Task(arm, seed, partial(self._family().network, *candidate))
        elif arm == "mobilenet":
            yield from self._mobilenets()
        else:
            for seed in range(self.seeds[arm]):
                yield Task(arm, seed, partial(self._searched, arm, seed))

    def _family(self) -> Family:
        return family_of(self.settings)

    def drawn(self) -> list[Candidate]:
        """The random networks on target."""
        family = self._family()
        goal = goal_of(self.settings, [self.table], [self.reference_ms])
        search = self.settings.search
        space = OnTarget(family, goal, search.tolerance, RANDOM_SEED, search.limits)
        return [space.draw() for _ in range(SEEDS["random"])]

    def _searched(self, arm: str, seed: int) -> Network:
        """What one seed finds on its supernet, with as many scores as every other."""
        if arm != "random search" and seed < self.given.supernets:
            found = self.run(seed).record.found
            assert found is not None  # noqa: S101 - `run` ends with a network
            return found.network
        searcher, drawn = (
            (random_search, RANDOM_SEED + 1 + seed) if arm == "random search" else (evolution, seed)
        )
        path = self.given.run / f"{searcher.__name__}-{seed}.json"
        if not path.is_file():
            run = self.run(seed)
            search = run.record.settings.search
            goal = run.goal.to(device())
            scorer = self.scorer(seed)
            space = OnTarget(run.family, goal, search.tolerance, drawn, search.limits)
            with self.stages.bar(f"{arm} {seed}") as bar:
                best = searcher(
                    scorer, space, search.evaluations, lambda done: bar(done, search.evaluations)
                )
            self._keep_scores(seed, scorer)
            path.write_text(best.network.network.model_dump_json())
        return Network.model_validate_json(path.read_text())

    def scorer(self, seed: int) -> Scorer:
        """By a seed's supernet, with all that it has scored already."""
        run = self.run(seed)
        own = run.record.settings
        training, _ = self.images(run.family.input_size)
        scorer = scorer_of(run, own, training, own.search.scoring_images)
        path = self._scores(seed)
        if path.is_file():
            known = json.loads(path.read_text())
            scorer.known = {Candidate(one, tuple(choices)): value for one, choices, value in known}
        return scorer

    def _keep_scores(self, seed: int, scorer: Scorer) -> None:
        rows = [[*candidate, value] for candidate, value in scorer.known.items()]
        self._scores(seed).write_text(json.dumps(rows))

    def _scores(self, seed: int) -> Path:
        path: Path = self.given.run / f"scores-{seed % self.given.supernets}.json"
        return path

    def _mobilenets(self) -> Iterator[Task]:
        """Every eligible one once, then further seeds of the best."""
        eligible = []
        for size in SIZES:
            for width in WIDTHS:
                network = mobilenet_v2(size, width, self.given.classes, self.settings.precision)
                try:
                    latency_ms = predicted_ms(self.table, network)
                except MissingEntries:
                    continue
                if latency_ms <= self.reference_ms * (1 + self.settings.search.tolerance):
                    eligible.append((latency_ms, network))
        # The slower ones are the larger ones: those worth a training.
        slowest_first = sorted(eligible, key=lambda one: one[0], reverse=True)
        probes = [network for _, network in slowest_first[:3]]
        for network in probes:
            yield Task("mobilenet", 0, partial(Network.model_copy, network))
        known = {
            row["network"]: row["accuracy"]
            for row in self.results.of("training")
            if row["arm"] == "mobilenet" and row["seed"] == 0
        }
        if all(network.name in known for network in probes):
            best = max(probes, key=lambda one: known[one.name])
            for seed in range(1, SEEDS["mobilenet"]):
                yield Task("mobilenet", seed, partial(Network.model_copy, best))

    def train(self, task: Task) -> None:
        """Train a task's network, if no line has it."""
        network = task.network()
        for row in self.results.of("training"):
            same = row["content_hash"] == network.content_hash
            if (row["arm"], row["seed"]) == (task.arm, task.seed) and same:
                return
        settings = self.seeded(task.seed)
        inherits = settings.train.start == "supernet" and not task.alone
        # Random networks go with the first supernet, a search's with its own.
        supernet = self.run(0 if task.arm == "random" else task.seed) if inherits else None
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
        self.results.add(
            {
                "kind": "training",
                "arm": task.arm,
                "seed": task.seed,
                "network": network.name,
                "content_hash": network.content_hash,
                "predicted_ms": predicted_ms(self.table, network),
                "reference_ms": self.reference_ms,
                "accuracy": accuracy,
                "start": "supernet" if inherits else "scratch",
                "epochs": config.epochs,
                "seconds": round(time.monotonic() - began),
                "device": str(device()),
                "threads": torch.get_num_threads(),
            }
        )

    def score(self) -> None:
        """Scores of the random networks by the first seed's supernet, as far as they lack."""
        known = {row["content_hash"] for row in self.results.of("score")}
        run, scorer = self.run(0), self.scorer(0)
        for candidate in self.drawn():
            network = run.family.network(*candidate)
            if network.content_hash in known:
                continue
            accuracy = scorer.accuracy(candidate)
            self.results.add(
                {
                    "kind": "score",
                    "content_hash": network.content_hash,
                    "score": accuracy,
                    "standard_error": scorer.standard_error(accuracy),
                }
            )

    def measure(self, networks: Sequence[Network]) -> None:
        """Latencies of all networks, in int8, in the same shuffled rounds."""
        request = JobRequest(
            name="search gain",
            target_id=self.target.id,
            networks=tuple({one.content_hash: one for one in networks}.values()),
            rounds=self.given.rounds,
        )
        entries = self.client.entries(measure(self.client, request, "networks", self.stages).id)
        for network in request.networks:
            entry = entries[network.content_hash]
            self.results.add(
                {"kind": "latency", "content_hash": network.content_hash, "ms": entry.value_ms}
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what is not done yet, and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results" / "search_gain.jsonl"
    )
    parser.add_argument("--recipe", default="cifar")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--reference", default="48-0.5", help="MobileNetV2: size and width")
    parser.add_argument("--profiler-url", default=DEFAULT_URL)
    parser.add_argument(
        "--snapshot", type=Path, help="a saved table; nothing is measured at the end"
    )
    parser.add_argument("--target", help="where the profiler has several")
    parser.add_argument("--rounds", type=int, default=60, help="visits of each network")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hours", type=float, default=math.inf, help="start nothing new after")
    parser.add_argument("--supernets", type=int, default=SEEDS["search"], help="to train")
    every = [*SEEDS, *ALONE]
    parser.add_argument("--arms", nargs="+", choices=every, default=every)
    parser.add_argument("--plot", type=Path, help="of the accuracies, .svg")
    parser.add_argument("--only-report", action="store_true", help="print what is known")
    parser.add_argument("--set", action="append", default=[], help="as of search-client search")
    given = parser.parse_args(arguments)
    if given.only_report:
        print(json.dumps(report(Results(given.results, given.target).rows, given.plot)))
        return
    torch.set_num_threads(given.threads)
    given.run.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    file = given.snapshot
    with ProfilerClient.of_file(file) if file else ProfilerClient(given.profiler_url) as client:
        experiment = Experiment(given, client, Stages(Console()))
        finished = False
        while not finished:
            # Anew after every training: which MobileNetV2 is best may be known by now.
            done = len(experiment.results.rows)
            for task in experiment.tasks():
                if task.arm not in given.arms:
                    continue
                if time.monotonic() - began > 3600 * given.hours:
                    break
                experiment.train(task)
            else:
                finished = len(experiment.results.rows) == done
                continue
            break
        if finished and {"random", "random alone"} & {*given.arms}:
            experiment.score()
        missing = file is None and not experiment.results.of("latency")
        if finished and list(given.arms) == every and missing:
            experiment.measure([task.network() for task in experiment.tasks()])
    print(json.dumps(report(experiment.results.rows, given.plot)))


if __name__ == "__main__":
    main()
