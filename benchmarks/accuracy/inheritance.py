"""What a network reaches that starts from its supernet's weights, in which share of the steps.

For each search (a run folder that `search-client search` left) and each seed: the network found,
trained from scratch by the run's own recipe, and finetuned from the supernet's weights for shares
of the same epochs, with distillation and without, from each share of the peak learning rate.

Resumable: every finished training appends one JSON line to `--results`, and what is there is not
done again. `--hours` starts nothing new after so many. The last line is one JSON object: for each
share the mean difference to training from scratch in points, paired by search and seed, with its
95 % interval, and the least share that is not worse than scratch by more than `--points`.

Example: python benchmarks/accuracy/inheritance.py --data photos/ --run runs/seed-0 runs/seed-1
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

# Python looks beside a script: `benchmarks` itself lies two folders above.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from rich.console import Console

from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.runs.load import read_run
from search_client.stages.data import read_data
from search_client.stages.train import train_network
from search_client.training.distributed import device

#: quantiles of Student's t, two-sided 95 %, by degrees of freedom; beyond: the normal's
_T = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 10: 2.23}
_NORMAL = 1.96
#: what finetunings differ in
WAY = ("share", "distillation", "learning_rate_share")


@dataclass(frozen=True)
class Task:
    """One training."""

    #: name of the search's folder
    run: str
    seed: int
    #: of the epochs; None: from scratch, all of them
    share: float | None
    distillation: float
    #: of the peak learning rate
    learning_rate_share: float

    def settings(self, ran: Recipe) -> Recipe:
        """The run's settings, changed to what this training needs."""
        changed = {"start": "scratch" if self.share is None else "supernet"}
        values = ran.train.model_dump() | changed
        if self.share is not None:
            values["inherit"] |= {
                "epochs_share": self.share,
                "distillation": self.distillation,
                "learning_rate_share": self.learning_rate_share,
            }
        return Recipe.model_validate({**ran.model_dump(), "seed": self.seed, "train": values})


def tasks(given: argparse.Namespace) -> Iterator[Task]:
    """Every training: a seed of every search before the next one."""
    for seed in range(given.seeds):
        for folder in given.run:
            yield Task(folder.name, seed, None, 0.0, 1.0)
            ways = product(given.shares, given.distillation, given.learning_rate_shares)
            yield from (Task(folder.name, seed, *way) for way in ways)


def trained(task: Task, folder: Path, data: Path, stages: Stages) -> dict[str, Any]:
    """Do one training: its line."""
    run = read_run(folder)
    assert run.record.found is not None  # noqa: S101 - of a search that has ended
    settings = task.settings(run.record.settings)
    network = run.record.found.network.with_precision("float32")
    images = read_data(data, settings, stages, run.record.classes)
    began = time.monotonic()
    supernet = None if task.share is None else run
    _, accuracy = train_network(network, *images, settings, stages, supernet=supernet)
    config = settings.train if task.share is None else settings.train.inheriting()
    return {
        **asdict(task),
        "network": network.name,
        "content_hash": network.content_hash,
        "epochs": config.epochs,
        "accuracy": accuracy,
        "seconds": round(time.monotonic() - began),
        "device": str(device()),
    }


def report(rows: list[dict[str, Any]], points: float) -> dict[str, Any]:
    """What the lines come to."""
    scratch = {(row["run"], row["seed"]): row for row in rows if row["share"] is None}
    told: dict[str, Any] = {
        "scratch_percent": _rounded(100 * row["accuracy"] for row in scratch.values()),
        "shares": [],
    }
    for kind in sorted({_way(row) for row in rows if row["share"]}):
        differences = [
            100 * (row["accuracy"] - scratch[row["run"], row["seed"]]["accuracy"])
            for row in rows
            if row["share"] and _way(row) == kind and (row["run"], row["seed"]) in scratch
        ]
        if differences:
            told["shares"].append(
                {
                    **dict(zip(WAY, kind, strict=True)),
                    "pairs": len(differences),
                    "difference_points": round(statistics.fmean(differences), 2),
                    "interval_points": _interval(differences),
                }
            )
    enough = [row["share"] for row in told["shares"] if row["difference_points"] >= -points]
    if enough:
        told["least_share_as_good"] = min(enough)
    return told


def _way(row: dict[str, Any]) -> tuple[float, ...]:
    return tuple(row[name] for name in WAY)


def _rounded(values: Iterator[float]) -> list[float]:
    return [round(value, 2) for value in values]


def _interval(differences: list[float]) -> list[float] | None:
    """95 % interval of a mean; None of one value."""
    count = len(differences)
    if count < 2:
        return None
    half = _T.get(count - 1, _NORMAL) * statistics.stdev(differences) / math.sqrt(count)
    mean = statistics.fmean(differences)
    return [round(mean - half, 2), round(mean + half, 2)]


def main() -> None:
    """Do what is not done yet, and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, nargs="+", required=True, help="folders of searches")
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results" / "inheritance.jsonl"
    )
    parser.add_argument("--shares", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--distillation", type=float, nargs="+", default=[0.0, 0.5])
    parser.add_argument("--learning-rate-shares", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--points", type=float, default=0.2, help="worse than scratch, at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hours", type=float, default=math.inf, help="start nothing new after")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    text = given.results.read_text() if given.results.is_file() else ""
    rows: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    folders = {folder.name: folder for folder in given.run}
    began, stages = time.monotonic(), Stages(Console(stderr=True))
    for task in tasks(given):
        if any(asdict(task).items() <= row.items() for row in rows):
            continue
        if time.monotonic() - began > 3600 * given.hours:
            break
        row = trained(task, folders[task.run], given.data, stages)
        given.results.parent.mkdir(parents=True, exist_ok=True)
        with given.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        rows.append(row)
    print(json.dumps(report(rows, given.points)))


if __name__ == "__main__":
    main()
