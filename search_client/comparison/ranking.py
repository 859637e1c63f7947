"""How well a supernet ranks networks: its scores beside the accuracy that each reaches alone."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from pydantic import TypeAdapter
from scipy.stats import kendalltau

from netspec.console.outputs import write_file
from netspec.networks import Network
from netspec.validation import FrozenModel
from search_client.comparison.baselines import scorer_of
from search_client.data.folders import LabelledImages
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.report.content import Ranking, Report
from search_client.report.figures.canvas import LINE
from search_client.report.page import REPORT, write_report
from search_client.runs.load import LoadedRun
from search_client.search.candidates import Candidate, OnTarget
from search_client.stages.train import train_network

FILE = "rank.json"
PLOT = "rank.svg"
#: below it, what scores best is hardly better than what is drawn
LEAST_TAU = 0.5
#: kept apart from the seeds of searches, so that no network was chosen by a search
_SEED = 10_000
_SIDE_INCHES = 5


class Ranked(FrozenModel):
    """One random network on target."""

    network: Network
    #: top-1 (fraction) of held-out images with the supernet's weights
    score: float
    #: of the score
    standard_error: float
    #: top-1 (fraction) on the test images, trained alone
    test_accuracy: float


_RANKED = TypeAdapter(list[Ranked])


def random_networks(run: LoadedRun, count: int) -> list[Candidate]:
    """Distinct random networks on a run's target, within its limits."""
    search = run.record.settings.search
    seed = _SEED + run.record.settings.seed
    space = OnTarget(run.family, run.goal, search.tolerance, seed, search.limits)
    drawn: dict[Candidate, None] = {}
    # A space may have fewer.
    for _ in range(50 * count):
        if len(drawn) == count:
            break
        drawn[space.draw()] = None
    return list(drawn)


def rank(
    run: LoadedRun,
    settings: Recipe,
    training: LabelledImages,
    test: LabelledImages,
    folder: Path,
    stages: Stages,
    networks: int,
) -> list[Ranked]:
    """Scores random networks on target, and trains each alone; leaves `rank.json` and a plot.

    The run's report, where there is one, tells the outcome.

    What `rank.json` already holds is not trained again.

    Args:
        run: a search that has ended.
        settings: the run's, or with another way to train.
        training: the run's training images.
        test: images for the networks' accuracy.
        folder: of the run.
        stages: shows the progress.
        networks: how many.
    """
    path = folder / FILE
    known = _RANKED.validate_json(path.read_bytes()) if path.is_file() else []
    trained = {row.network.content_hash: row.test_accuracy for row in known}
    own = run.record.settings
    scorer = scorer_of(run, own, training, own.search.scoring_images)
    rows: list[Ranked] = []
    for candidate in random_networks(run, networks):
        network = run.family.network(*candidate)
        score = scorer.accuracy(candidate)
        accuracy = trained.get(network.content_hash)
        if accuracy is None:
            alone = network.with_precision("float32")
            _, accuracy = train_network(alone, training, test, settings, stages)
        rows.append(
            Ranked(
                network=network,
                score=score,
                standard_error=scorer.standard_error(score),
                test_accuracy=accuracy,
            )
        )
        write_file(path, _RANKED.dump_json(rows, indent=1) + b"\n")
    plot(rows, folder / PLOT)
    _tell_report(rows, folder)
    return rows


def _tell_report(rows: Sequence[Ranked], folder: Path) -> None:
    """Say in the run's report, where it has one, how far its scores can be trusted."""
    path, tau = folder / REPORT, tau_of(rows)
    if path.is_file() and not math.isnan(tau):
        report = Report.model_validate_json(path.read_bytes())
        ranking = Ranking(networks=len(rows), tau=tau)
        write_report(report.model_copy(update={"ranking": ranking}), folder)


def tau_of(rows: Sequence[Ranked]) -> float:
    """Kendall's tau-b between score and accuracy; NaN where one of them is constant."""
    scores, accuracies = ([row.score for row in rows], [row.test_accuracy for row in rows])
    return float(kendalltau(scores, accuracies).statistic)


def verdict(tau: float) -> str:
    """What a tau means for a search on that supernet."""
    if tau >= LEAST_TAU:
        return f"Kendall's tau {tau:.2f}: the supernet's scores order networks as training does."
    return (
        f"Kendall's tau {tau:.2f}, below {LEAST_TAU}: no search by these scores can be expected to "
        "win. Train the supernet longer, share its weights, or widen the space."
    )


def plot(rows: Sequence[Ranked], file: Path) -> None:
    """Score against accuracy, as `.svg` or `.png` by the file's name.

    Raises:
        UserError: the file cannot be written.
    """
    image = io.BytesIO()
    figure = Figure(figsize=(_SIDE_INCHES, _SIDE_INCHES), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.errorbar(
        [100 * row.score for row in rows],
        [100 * row.test_accuracy for row in rows],
        xerr=[100 * row.standard_error for row in rows],
        fmt="o",
        markersize=5,
        ecolor=LINE,
    )
    axes.set(
        xlabel="score with the supernet's weights, %",
        ylabel="test accuracy, trained alone, %",
        title=f"Kendall's tau {tau_of(rows):.2f} of {len(rows)} networks",
    )
    figure.savefig(image, format=file.suffix[1:])
    write_file(file, image.getvalue())
