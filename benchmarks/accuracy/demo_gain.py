"""What the demo's search gains over its MobileNetV2, over several seeds.

Every seed is a whole `search-client demo` in the same run folder: the table is measured once, and
images, search, trainings and finetunings are the seed's own. Both networks are trained by the same
steps from drawn weights. Every finished demo appends one JSON line to `--results`, and a seed that
has one is not run again. Accuracies are of the int8 files on the demo's 1,000 test images,
latencies measured. The last line is one JSON object.

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

FIGURES = ("accuracy_float", "accuracy_int8")


def ran(run: Path, seed: int, settings: list[str]) -> dict[str, Any]:
    """One seed's demo: accuracies (fractions) and measured int8 latencies (ms) of both networks."""
    # The photographs are cut anew: their crops are the seed's, too.
    shutil.rmtree(run / "data", ignore_errors=True)
    given = [f"seed={seed}", f"search.seed={seed}", *settings]
    command = [
        "search-client",
        "demo",
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


def report(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean, standard deviation (points) and sign of the gain, and how far latencies differ."""
    gains = [100 * (row["searched"][FIGURES[1]] - row["baseline"][FIGURES[1]]) for row in rows]
    slower = [100 * (row["searched"]["ms"] / row["baseline"]["ms"] - 1) for row in rows]
    return {
        "demo_gain_points": round(statistics.mean(gains), 2),
        "demo_gain_sd": round(statistics.stdev(gains), 2) if len(gains) > 1 else 0.0,
        "demo_gain_least": round(min(gains), 2),
        "demo_ahead": sum(gain > 0 for gain in gains),
        "seeds": len(gains),
        "demo_slower_percent": round(statistics.mean(slower), 2),
        "demo_slower_percent_worst": round(max(slower), 2),
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
