"""What the gradient bought: the found network beside baselines of the same latency."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from netspec.client import LatencyTable
from netspec.console.units import latency_text
from netspec.errors import MissingEntries
from netspec.networks import Network
from netspec.validation import FrozenModel
from search_client.comparison.baselines import reinforce, scorer_of
from search_client.comparison.methods import Method
from search_client.data.folders import LabelledImages
from search_client.latency.objective import Goal
from search_client.latency.prediction import predicted_ms
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.runs.load import LoadedRun
from search_client.search.candidates import OnTarget
from search_client.search.evolution import evolution, random_search
from search_client.search.scoring import Scored
from search_client.stages.train import train_network
from search_client.training.distributed import device

FILE = "compare.json"


class Compared(FrozenModel):
    """One network of the comparison."""

    #: how it was come by
    method: str
    network: Network
    #: calibrated sum of entries on the first target
    predicted_ms: float
    #: top-1 (fraction) of held-out images with the supernet's weights; None where it has none
    shared_accuracy: float | None
    #: held-out images that the method looked at
    held_out_images: int
    #: top-1 (fraction) on the test images, trained from scratch; None where it was not trained
    test_accuracy: float | None = None
    #: settings of that training; None: as the search's run says
    trained_with: dict[str, Any] | None = None


_COMPARED = TypeAdapter(list[Compared])


def compare(
    run: LoadedRun,
    settings: Recipe,
    training: LabelledImages,
    test: LabelledImages,
    folder: Path,
    stages: Stages,
    *,
    methods: Sequence[Method],
    images_per_network: int,
    trained: bool,
) -> list[Compared]:
    """Compares, and leaves `compare.json` in a folder; what is trained there already stays.

    All aim at the search's reference or, where it found no network there, at what it found. Every
    method may look at as many held-out images as the search's architecture steps did.

    Args:
        run: a search that has ended.
        settings: the run's, or with another way to train.
        training: the run's training images.
        test: images for the trained networks' accuracy.
        folder: of the run.
        stages: shows the progress.
        methods: beside MobileNetV2.
        images_per_network: held-out images that score one network.
        trained: train every network from scratch, too.
    """
    path = folder / FILE
    comparison = _Comparison(run, settings, training, stages, images_per_network)
    rows = [*comparison.rows(methods), *_mobilenets(run.tables[0], settings, stages)]
    recipe, ran = _training(settings), _training(run.record.settings)
    known: dict[str, float] = {}
    if path.is_file():
        for row in _COMPARED.validate_json(path.read_bytes()):
            if row.test_accuracy is not None and (row.trained_with or ran) == recipe:
                known[row.network.content_hash] = row.test_accuracy
    rows = [_trained(row, known, recipe) for row in rows]
    _write(rows, path)
    for row in rows if trained else []:
        # Methods may find one network: it is trained once.
        if row.network.content_hash not in known:
            network = row.network.with_precision("float32")
            _, accuracy = train_network(network, training, test, settings, stages)
            known[row.network.content_hash] = accuracy
            _write([_trained(row, known, recipe) for row in rows], path)
    return [_trained(row, known, recipe) for row in rows]


def _trained(row: Compared, known: Mapping[str, float], recipe: dict[str, Any]) -> Compared:
    accuracy = known.get(row.network.content_hash)
    if accuracy is None:
        return row
    return row.model_copy(update={"test_accuracy": accuracy, "trained_with": recipe})


def _training(settings: Recipe) -> dict[str, Any]:
    """What decides how a network is trained from scratch."""
    return settings.model_dump(mode="json", include={"train", "batch_size", "seed"})


def _write(rows: list[Compared], path: Path) -> None:
    path.write_bytes(_COMPARED.dump_json(rows, indent=1) + b"\n")


class _Comparison:
    """Runs the methods on one search's trained supernet."""

    def __init__(
        self,
        run: LoadedRun,
        settings: Recipe,
        training: LabelledImages,
        stages: Stages,
        images: int,
    ) -> None:
        """`images` held-out images score one network."""
        self.family, self.goal = run.family.to(device()), _goal(run, settings, stages).to(device())
        self.run = run
        self.settings = settings
        self.stages = stages
        search = settings.search
        self.scorer = scorer_of(run, settings, training, images)
        #: held-out images that each method may look at
        steps = run.architecture_steps * search.architecture_batches
        self.budget = steps * settings.batch_size or search.evaluations * self.scorer.images
        self.space = OnTarget(
            self.family, self.goal, search.tolerance, settings.seed, search.limits
        )

    @property
    def evaluations(self) -> int:
        """Networks that the budget scores."""
        return max(1, self.budget // self.scorer.images)

    def rows(self, methods: Sequence[Method]) -> list[Compared]:
        """One row a method."""
        return [self._row(method, self._best(method)) for method in methods]

    def _row(self, method: Method, scored: Scored) -> Compared:
        return Compared(
            method=method,
            network=scored.network.network,
            predicted_ms=scored.network.latency_ms[0],
            shared_accuracy=scored.accuracy,
            held_out_images=self.budget,
        )

    def _best(self, method: Method) -> Scored:
        heading = f"{method}: {self.evaluations} networks of {self.scorer.images} held-out images"
        with self.stages.stage("compare", heading), self.stages.bar(method) as bar:

            def advance(done: int) -> None:
                bar(done, self.evaluations)

            if method is Method.RANDOM:
                return random_search(self.scorer, self.space, self.evaluations, advance)
            if method is Method.EVOLUTION:
                return evolution(self.scorer, self.space, self.evaluations, advance)
            if method is Method.REINFORCE:
                return self._reinforce(lambda images: advance(images // self.scorer.images))
            found = self.run.derive("argmax" if method is Method.ARGMAX else None)
            advance(self.evaluations)
            return self.scorer.scored(found)

    def _reinforce(self, on_images: Callable[[int], None]) -> Scored:
        return reinforce(
            self.family,
            self.goal,
            self.scorer,
            config=self.settings.search,
            images=self.evaluations * self.scorer.images,
            seed=self.settings.seed,
            on_images=on_images,
        )


def _goal(run: LoadedRun, settings: Recipe, stages: Stages) -> Goal:
    """The search's; where its space had no network on target, what it found instead."""
    found_ms = run.derive().latency_ms
    if abs(run.goal.over_reference(found_ms) - 1) <= settings.search.tolerance:
        return run.goal
    told = " and ".join(map(latency_text, found_ms))
    stages.note(f"The search found {told}, not its reference: all others aim at that, too")
    return run.goal.aimed_at(found_ms)


def _mobilenets(table: LatencyTable, settings: Recipe, stages: Stages) -> list[Compared]:
    rows = []
    for network in settings.every_baseline(settings.precision):
        try:
            latency_ms = predicted_ms(table, network)
        except MissingEntries as error:
            stages.note(f"Without {network.name}: {error}")
            continue
        rows.append(
            Compared(
                method="MobileNetV2",
                network=network,
                predicted_ms=latency_ms,
                shared_accuracy=None,
                held_out_images=0,
            )
        )
    return rows
