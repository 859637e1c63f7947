"""What the lines of `search_gain.py` come to: means, differences with intervals, Kendall's tau."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from scipy.stats import kendalltau, ttest_ind

#: of the difference of two arms' means, by their names
GAINS = {
    ("search", "random"): "gain_over_mean_random_points",
    ("search", "random search"): "gain_over_random_search_points",
    ("search", "mobilenet"): "gain_over_mobilenet_points",
    ("search alone", "random alone"): "alone_gain_over_mean_random_points",
    ("search alone", "mobilenet"): "alone_gain_over_mobilenet_points",
}
#: of a supernet's scores and these arms' accuracies
TAUS = {"random": "kendall_tau", "random alone": "alone_kendall_tau"}


def report(rows: Sequence[Mapping[str, Any]], plot: Path | None = None) -> dict[str, Any]:
    """Percent and points; what is not known yet is left out. Optionally draws all accuracies."""
    trainings = [row for row in rows if row["kind"] == "training"]
    arms = _arms(trainings)
    found: dict[str, Any] = {}
    for arm, of_arm in arms.items():
        name = arm.replace(" ", "_")
        accuracies = [100 * row["accuracy"] for row in of_arm]
        found[f"{name}_networks"] = len(accuracies)
        found[f"{name}_accuracy_percent"] = round(statistics.mean(accuracies), 2)
        if len(accuracies) > 1:
            found[f"{name}_accuracy_std"] = round(statistics.stdev(accuracies), 2)
        found[f"{name}_training_hours"] = round(sum(row["seconds"] for row in of_arm) / 3600, 2)
    for (ours, theirs), key in GAINS.items():
        found |= _gain(arms.get(ours, []), arms.get(theirs, []), key)
    scores = {row["content_hash"]: row["score"] for row in rows if row["kind"] == "score"}
    for arm, key in TAUS.items():
        pairs = [
            (scores[row["content_hash"]], row["accuracy"])
            for row in arms.get(arm, [])
            if row["content_hash"] in scores
        ]
        if len(pairs) > 1:
            tau = float(kendalltau(*zip(*pairs, strict=True)).statistic)
            found[key] = None if math.isnan(tau) else round(tau, 3)
    found |= _latencies(rows, arms)
    if plot is not None and arms:
        _draw(arms, plot)
    return found


def _arms(trainings: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Trainings by arm; of MobileNetV2 only the best one's, by its first seed."""
    arms: dict[str, list[Mapping[str, Any]]] = {}
    for row in trainings:
        arms.setdefault(row["arm"], []).append(row)
    if "mobilenet" in arms:
        first = [row for row in arms["mobilenet"] if row["seed"] == 0]
        best = max(first, key=lambda row: row["accuracy"])["content_hash"]
        arms["mobilenet"] = [row for row in arms["mobilenet"] if row["content_hash"] == best]
    return arms


def _gain(
    search: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], key: str
) -> dict[str, Any]:
    """Difference of means with Welch's 95 % interval and two-sided p."""
    if min(len(search), len(other)) < 2:
        return {}
    ours, theirs = ([100 * row["accuracy"] for row in rows] for rows in (search, other))
    test = ttest_ind(ours, theirs, equal_var=False)
    interval = test.confidence_interval(0.95)
    if math.isnan(test.pvalue):
        # All alike, as networks are that guess.
        return {key: round(statistics.mean(ours) - statistics.mean(theirs), 2)}
    return {
        key: round(statistics.mean(ours) - statistics.mean(theirs), 2),
        key.replace("_points", "_interval"): [round(interval.low, 2), round(interval.high, 2)],
        key.replace("_points", "_p"): float(f"{test.pvalue:.2g}"),
    }


def _latencies(
    rows: Sequence[Mapping[str, Any]], arms: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """Mean measured ms of each arm, and how far the arms' means lie apart."""
    # What was measured beside each other counts, where there is that.
    kinds = ("latency", "compared_latency")
    measured = {
        row["content_hash"]: row["ms"] for kind in kinds for row in rows if row["kind"] == kind
    }
    found: dict[str, Any] = {}
    for arm, of_arm in arms.items():
        values = [
            measured[row["content_hash"]] for row in of_arm if row["content_hash"] in measured
        ]
        if values:
            found[f"{arm.replace(' ', '_')}_measured_ms"] = round(statistics.mean(values), 4)
    if found:
        apart = max(found.values()) / min(found.values()) - 1
        found["latency_spread_percent"] = round(100 * apart, 2)
    return found


def _draw(arms: Mapping[str, Sequence[Mapping[str, Any]]], file: Path) -> None:
    """Every trained network as a point, arms as columns, with their means."""
    figure = Figure(figsize=(6, 4), dpi=100, layout="constrained")
    axes = figure.subplots()
    for column, of_arm in enumerate(arms.values()):
        accuracies = [100 * row["accuracy"] for row in of_arm]
        axes.plot([column] * len(accuracies), accuracies, "o", alpha=0.6)
        mean = statistics.mean(accuracies)
        axes.hlines(mean, column - 0.25, column + 0.25, color="black", linewidth=1)
    axes.set_xticks(range(len(arms)), [f"{arm} ({len(rows)})" for arm, rows in arms.items()])
    axes.set_ylabel("test accuracy, %")
    figure.savefig(file)
