"""What the demo's search gains over its MobileNetV2, over several seeds.

As `search-client demo` does it, in three steps: the space is measured once; for every seed, images,
search, trainings and finetunings are its own; and when all are trained, all int8 files are measured
in the same shuffled rounds. Both networks are trained by the same steps; with `train.start =
"supernet"` MobileNetV2 goes through all the epochs from drawn weights. Only the first and the last
step want an idle machine: `--steps` does them apart. Every finished network and every latency is a
JSON line of `--results`, and what has a line is not done again. Test images are cut as the demo
cuts them, but more: on its 1,000 the difference of two networks has a standard error of a point.
The last line is one JSON object.

Example: python benchmarks/accuracy/demo_gain.py --run runs/demo_gain
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scipy.stats import sem, t

from netspec.client import ProfilerClient
from search_client.data.folders import stored_size
from search_client.demo.farm import TRAIN_IMAGES, farm_of_this_host
from search_client.demo.photographs import write_photographs
from search_client.pipeline import Pipeline
from search_client.progress import Stages
from search_client.recipe import Recipe, read_recipe
from search_client.stages.deploy import file_name
from search_client.stages.latency_tables import measured
from search_client.stages.measure import measure_models

#: of every seed
TEST_IMAGES = 4_000
#: greatest difference of two latencies that count as equal
EQUAL = 0.01
#: of the photographs
CLASSES = 10
ROLES = ("searched", "baseline")
STEPS = ("table", "train", "measure")


class Results:
    """Lines of a file: networks with their accuracies, and latencies of their int8 files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text() if path.is_file() else ""
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]

    def add(self, row: dict[str, Any]) -> None:
        """One more line, on disk at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)

    @property
    def latencies_ms(self) -> dict[str, float]:
        """By the SHA-256 of the int8 file."""
        return {row["sha256"]: row["ms"] for row in self.rows if "ms" in row}

    def networks(self, role: str) -> dict[int, dict[str, Any]]:
        """By seed."""
        return {row["seed"]: row for row in self.rows if row.get("role") == role}

    def pairs(self) -> list[dict[str, Any]]:
        """Of every seed that has both networks, with their latencies as far as they are known."""
        latencies_ms = self.latencies_ms
        return [
            {
                "seed": seed,
                "searched": {**searched, "ms": latencies_ms.get(searched["sha256"])},
                "baseline": {**baseline, "ms": latencies_ms.get(baseline["sha256"])},
            }
            for seed, searched in sorted(self.networks("searched").items())
            for baseline in [self.networks("baseline").get(seed)]
            if baseline is not None
        ]


@dataclass(frozen=True)
class Experiment:
    """A recipe, the folder of its table and seeds, and the progress on stderr."""

    run: Path
    recipe: str
    settings: Sequence[str]
    stages: Stages = field(default_factory=Stages)

    @property
    def table(self) -> Path:
        """The measured table, as `search-client snapshot` saves it."""
        return self.run / "table.json"

    def seeded(self, seed: int) -> Recipe:
        """The recipe for one seed, with one MobileNetV2."""
        own = (f"seed={seed}", f"search.seed={seed}")
        recipe = read_recipe(self.recipe, [*own, *self.settings])
        return recipe.model_copy(update={"baselines": ()})

    def measure_table(self) -> None:
        """Measure the space and whole networks on this host, and save the table."""
        recipe = self.seeded(0)
        with farm_of_this_host(recipe, self.run, self.run, 0, self.stages) as farm:
            client, target, _ = farm
            measured(client, target, recipe.for_classes(CLASSES), self.stages)
            client.table(target.id).save(self.table)

    def train(self, seed: int) -> Iterator[dict[str, Any]]:
        """One seed's searched network and MobileNetV2, as lines; files stay in its folder."""
        recipe, data = self.seeded(seed), self.run / f"data-{seed}"
        cut(recipe, data)
        with ProfilerClient.of_file(self.table) as client:
            (target,) = client.targets()
            folder = self.folder(seed)
            pipeline = Pipeline(client, target, recipe, data, folder, self.stages, overwrite=True)
            deployed = pipeline.deploy()
        shutil.rmtree(data)
        for role in ROLES:
            found = deployed[role]
            yield {
                "seed": seed,
                "role": role,
                "network": found.network.name,
                "sha256": hashlib.sha256(found.files["int8"]).hexdigest(),
                "accuracy_float": found.accuracy_float,
                "accuracy_int8": found.parity["int8"].accuracy,
                "epochs": found.epochs,
                "start": found.start,
                "set": self.settings,
            }

    def folder(self, seed: int) -> Path:
        """A seed's run."""
        return self.run / f"seed-{seed}"

    def measure(self, seeds: Iterable[int], rounds: int) -> dict[str, float]:
        """Latencies, in ms, of the seeds' int8 files in the same rounds, by SHA-256."""
        paths = [self.folder(seed) / file_name(role, "int8") for seed in seeds for role in ROLES]
        with farm_of_this_host(self.seeded(0), self.run, self.run, 0, self.stages) as farm:
            client, target, _ = farm
            models = {}
            for path in paths:
                model = client.upload_model(path.read_bytes(), f"{path.parent.name}-{path.name}")
                models[model.sha256] = model
            entries = measure_models(
                client, target, [*models.values()], rounds=rounds, stages=self.stages
            )
        return {sha256: entry.value_ms for sha256, entry in entries.items()}


def cut(recipe: Recipe, folder: Path) -> None:
    """Cut a seed's images: which crops are taken is the seed's, too."""
    shutil.rmtree(folder, ignore_errors=True)
    size = stored_size(recipe.input_size)
    write_photographs(folder, size, TRAIN_IMAGES, TEST_IMAGES, recipe.seed, lambda *_: None)


def report(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean with its 95 % interval, deviation (points) and sign; how far latencies differ."""
    gains = [
        100 * (pair["searched"]["accuracy_int8"] - pair["baseline"]["accuracy_int8"])
        for pair in pairs
    ]
    if not gains:
        return {"seeds": 0}
    known = [pair for pair in pairs if pair["searched"]["ms"] and pair["baseline"]["ms"]]
    slower = [100 * (pair["searched"]["ms"] / pair["baseline"]["ms"] - 1) for pair in known]
    spread: dict[str, Any] = {}
    if len(gains) > 1:
        mean, free = statistics.mean(gains), len(gains) - 1
        low, high = t.interval(0.95, free, loc=mean, scale=sem(gains))
        spread = {
            "demo_gain_interval": [round(float(low), 2), round(float(high), 2)],
            "demo_gain_sd": round(statistics.stdev(gains), 2),
        }
    equal: dict[str, Any] = {}
    if slower:
        equal = {
            "demo_slower_percent": round(statistics.mean(slower), 2),
            "demo_slower_percent_worst": round(max(slower), 2),
            "demo_equal_latency": sum(abs(percent) <= 100 * EQUAL for percent in slower),
        }
    return {
        "demo_gain_points": round(statistics.mean(gains), 2),
        **spread,
        "demo_gain_least": round(min(gains), 2),
        "demo_ahead": sum(gain > 0 for gain in gains),
        "seeds": len(gains),
        **equal,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what has no line yet, and print what all came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results" / "demo_gain.jsonl"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[*range(8)])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--rounds", type=int, default=60, help="visits of each file")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--set", action="append", default=[], help="as of search-client demo")
    given = parser.parse_args(arguments)
    given.run.mkdir(parents=True, exist_ok=True)
    experiment = Experiment(given.run, given.recipe, given.set)
    results = Results(given.results)
    if "table" in given.steps and not experiment.table.exists():
        experiment.measure_table()
    if "train" in given.steps:
        for seed in sorted({*given.seeds} - {*results.networks("baseline")}):
            for row in experiment.train(seed):
                results.add(row)
    pairs = results.pairs()
    if "measure" in given.steps and any(pair["searched"]["ms"] is None for pair in pairs):
        latencies_ms = experiment.measure((pair["seed"] for pair in pairs), given.rounds)
        for sha256, latency_ms in latencies_ms.items():
            results.add({"sha256": sha256, "ms": latency_ms})
    show(results.pairs())
    print(json.dumps(report(results.pairs())))


def show(pairs: Iterable[dict[str, Any]]) -> None:
    """A line a seed."""
    head = ("seed", "searched", "int8", "us", "baseline", "us")
    print("{:>4}  {:<32} {:>7}  {:>6}   {:>8}  {:>6}".format(*head))
    for pair in pairs:
        searched, baseline = (pair[role] for role in ROLES)
        us = [f"{1000 * one['ms']:.1f}" if one["ms"] else "" for one in (searched, baseline)]
        print(
            f"{pair['seed']:>4}  {searched['network']:<32} {searched['accuracy_int8']:>7.1%}  "
            f"{us[0]:>6}   {baseline['accuracy_int8']:>8.1%}  {us[1]:>6}"
        )


if __name__ == "__main__":
    main()
