"""What the demo's search gains over its MobileNetV2, over several seeds.

Every seed is a whole `search-client demo` in the same run folder: the table is measured once, and
images, search, trainings and finetunings are the seed's own. Both networks are trained by the same
steps from drawn weights. Every finished demo appends one JSON line to `--results`, and a seed that
has one is not run again. Accuracies are of the int8 files, latencies measured. Test images are cut
as the demo cuts them, but more: on its 1,000 the difference of two networks has a standard error of
a point. The last line is one JSON object.

Example: python benchmarks/accuracy/demo_gain.py --run runs/demo_gain
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from scipy.stats import sem, t

from search_client.data.folders import stored_size
from search_client.demo.farm import TRAIN_IMAGES
from search_client.demo.photographs import write_photographs
from search_client.recipe import read_recipe

#: of every seed
TEST_IMAGES = 4_000
#: greatest difference of two latencies that count as equal
EQUAL = 0.01
FIGURES = ("accuracy_float", "accuracy_int8")


def ran(run: Path, seed: int, settings: list[str]) -> dict[str, Any]:
    """One seed's demo: accuracies (fractions) and measured int8 latencies (ms) of both networks."""
    given = [f"seed={seed}", f"search.seed={seed}", *settings]
    # The photographs are cut anew: their crops are the seed's, too.
    data, recipe = run / "data", read_recipe("demo", given)
    shutil.rmtree(data, ignore_errors=True)
    size = stored_size(recipe.input_size)
    write_photographs(data, size, TRAIN_IMAGES, TEST_IMAGES, recipe.seed, lambda _done, _all: None)
    command = [
        "search-client",
        "demo",
        f"--data={data}",
        f"--run={run}",
        *(f"--set={setting}" for setting in given),
    ]
    subprocess.run([Path(sys.executable).with_name(command[0]), *command[1:]], check=True)  # noqa: S603
    report = json.loads((run / "report.json").read_text())
    row: dict[str, Any] = {"seed": seed, "set": settings, "seconds": report["seconds"]}
    for role in ("searched", "baseline"):
        result = report[role]
        row[role] = {
            "network": result["network"]["name"],
            "ms": result["measured_ms"]["int8"],
            **{figure: result[figure] for figure in FIGURES},
        }
    return row


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean with its 95 % interval, deviation (points) and sign; how far latencies differ."""
    gains = [100 * (row["searched"][FIGURES[1]] - row["baseline"][FIGURES[1]]) for row in rows]
    slower = [100 * (row["searched"]["ms"] / row["baseline"]["ms"] - 1) for row in rows]
    spread: dict[str, Any] = {}
    if len(gains) > 1:
        mean, free = statistics.mean(gains), len(gains) - 1
        low, high = t.interval(0.95, free, loc=mean, scale=sem(gains))
        spread = {
            "demo_gain_interval": [round(float(low), 2), round(float(high), 2)],
            "demo_gain_sd": round(statistics.stdev(gains), 2),
        }
    return {
        "demo_gain_points": round(statistics.mean(gains), 2),
        **spread,
        "demo_gain_least": round(min(gains), 2),
        "demo_ahead": sum(gain > 0 for gain in gains),
        "seeds": len(gains),
        "demo_slower_percent": round(statistics.mean(slower), 2),
        "demo_slower_percent_worst": round(max(slower), 2),
        "demo_equal_latency": sum(abs(percent) <= 100 * EQUAL for percent in slower),
    }


def main() -> None:
    """Run the seeds that have no line yet, and print what all came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results" / "demo_gain.jsonl"
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], help="as of search-client demo")
    given = parser.parse_args()
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.touch()
    rows = [json.loads(line) for line in given.results.read_text().splitlines()]
    for seed in sorted({*range(given.seeds)} - {row["seed"] for row in rows}):
        rows.append(ran(given.run, seed, given.set))
        with given.results.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    head = ("seed", "searched", "int8", "ms", "baseline", "ms")
    print("{:>4}  {:<32} {:>7}  {:>6}   {:>8}  {:>6}".format(*head))
    for row in rows:
        searched, baseline = row["searched"], row["baseline"]
        print(
            f"{row['seed']:>4}  {searched['network']:<32} {searched['accuracy_int8']:>7.1%}  "
            f"{searched['ms']:>6.4f}   {baseline['accuracy_int8']:>8.1%}  {baseline['ms']:>6.4f}"
        )
    print(json.dumps(report(rows)))


if __name__ == "__main__":
    main()
