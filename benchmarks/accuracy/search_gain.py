"""What the search gains on an image folder: against MobileNetV2 and random search.

For every seed: a search for the latency of MobileNetV2, the best of random search on the same
trained supernet with as many held-out images, and all three networks trained from scratch by one
recipe. Then the profiler measures every network in int8, in shared rounds. Every stage is kept in
`--run`, and a second start goes on from there. The last line is one JSON object: accuracies (mean
and standard deviation over seeds, percent) and measured latencies (ms, means).

Needs a profiler with a table of the recipe, from
`search-client profile --recipe cifar --classes 10`, and an agent.

Example: python benchmarks/accuracy/search_gain.py --data photos/ --run runs/search_gain
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import torch
from rich.console import Console

from netspec.client import ProfilerClient
from netspec.console.connection import DEFAULT_URL
from netspec.wire import JobRequest, Target
from search_client.comparison.compare import Compared, compare
from search_client.comparison.methods import Method
from search_client.data.folders import Pictures
from search_client.pipeline import search_only
from search_client.progress import Stages
from search_client.recipe import Settings, read_recipe
from search_client.runs.load import CHECKPOINT, read_run
from search_client.runs.record import read_record
from search_client.stages.data import read_data
from search_client.stages.profile import measure

METHODS = (Method.GRADIENT, Method.RANDOM)
NAMES = (*METHODS, "MobileNetV2")


def searched(folder: Path) -> bool:
    """Whether a folder's search has ended."""
    return (folder / "run.json").is_file() and read_record(folder).found is not None


def seed_rows(
    client: ProfilerClient,
    target: Target,
    settings: Settings,
    images: tuple[Pictures, Pictures],
    data: Path,
    folder: Path,
    stages: Stages,
) -> list[Compared]:
    """One seed: searched, compared and trained, as far as it is not yet."""
    if not searched(folder):
        search_only(
            client,
            target,
            settings,
            data,
            folder,
            stages,
            profile_missing=False,
            resume=(folder / CHECKPOINT).is_file(),
        )
    run = read_run(folder)
    return compare(
        run,
        run.record.settings,
        *images,
        folder,
        stages,
        methods=METHODS,
        images_per_network=500,
        trained=True,
    )


def measured_ms(
    client: ProfilerClient, target: Target, rows: list[Compared], rounds: int, stages: Stages
) -> dict[str, float]:
    """Latency by a network's content hash, in int8, all networks in the same rounds."""
    networks = {row.network.content_hash: row.network for row in rows}
    request = JobRequest(
        name="search gain",
        target_id=target.id,
        networks=tuple(networks.values()),
        rounds=rounds,
    )
    entries = client.entries(measure(client, request, "networks", stages).id)
    return {key: entries[network.content_hash].value_ms for key, network in networks.items()}


def numbers(rows: dict[str, list[Compared]], latency_ms: dict[str, float]) -> dict[str, float]:
    """Means and standard deviations over seeds."""
    told: dict[str, float] = {}
    for name, held in rows.items():
        label = name.lower()
        accuracies = [100 * row.test_accuracy for row in held if row.test_accuracy is not None]
        told[f"{label}_accuracy_percent"] = round(statistics.mean(accuracies), 2)
        if len(accuracies) > 1:
            told[f"{label}_accuracy_std"] = round(statistics.stdev(accuracies), 2)
        latencies = [latency_ms[row.network.content_hash] for row in held]
        told[f"{label}_measured_ms"] = round(statistics.mean(latencies), 4)
    return told


def main() -> None:
    """Run all seeds and print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", default="cifar")
    parser.add_argument("--profiler-url", default=DEFAULT_URL)
    parser.add_argument("--target", help="where the profiler has several")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=60, help="visits of each network")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="as of search-client search")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    console = Console()
    stages = Stages(console)
    images = read_data(given.data, read_recipe(given.recipe, given.set), stages)
    rows: dict[str, list[Compared]] = {name: [] for name in NAMES}
    with ProfilerClient(given.profiler_url) as client:
        target = client.target(given.target)
        for seed in range(given.seeds):
            overrides = [*given.set, f"seed={seed}", f"search.seed={seed}"]
            settings = read_recipe(given.recipe, overrides)
            folder = given.run / f"seed-{seed}"
            for row in seed_rows(client, target, settings, images, given.data, folder, stages):
                if row.method in rows:
                    rows[row.method].append(row)
        everything = [row for held in rows.values() for row in held]
        latency_ms = measured_ms(client, target, everything, given.rounds, stages)
    for row in everything:
        console.print(
            f"{row.method}: {row.network.name}, predicted {row.predicted_ms:.4f} ms, measured "
            f"{latency_ms[row.network.content_hash]:.4f} ms, top-1 {row.test_accuracy or 0:.2%}"
        )
    print(json.dumps(numbers(rows, latency_ms)))


if __name__ == "__main__":
    main()
