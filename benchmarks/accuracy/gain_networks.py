"""Which networks the search's experiment compares: found, drawn, and MobileNetV2's best sizes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

from benchmarks.accuracy.gain_lines import Lines
from netspec.client import ProfilerClient
from netspec.errors import MissingEntries
from netspec.networks import Network, mobilenet_v2
from netspec.wire import Target
from search_client.comparison.baselines import scorer_of
from search_client.data.folders import LabelledImages
from search_client.latency.objective import Goal
from search_client.latency.prediction import predicted_ms
from search_client.pipeline import Pipeline
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.runs.load import CHECKPOINT, LoadedRun, family_of, goal_of, read_run
from search_client.runs.record import read_record
from search_client.search.candidates import Candidate, OnTarget, candidate_of
from search_client.search.evolution import evolution, random_search
from search_client.search.scoring import Scorer
from search_client.stages.latency_tables import published
from search_client.training.distributed import device

#: of networks, by arm. Source: the numbers that tell 1 point from nothing at a standard deviation
#: of 1 point.
SEEDS = {"search": 8, "random": 12, "random search": 4}
#: of a search's best, and of random networks, that are measured: the first as fast as the
#: reference are taken
BEST, DRAWN = 10, 150
#: draws for each of these, so that there are as many different ones
TRIES = 20
#: of the predicted latency, within which random networks are drawn: measured they differ by more
#: from each other than those that searches find
DRAWN_WITHIN = 0.08
#: the slowest on target, of which the best is trained with further seeds
MOBILENETS = 3
#: kept apart from the seeds of searches
RANDOM_SEED = 10_000
#: image sizes and widths at which MobileNetV2 is looked for
SIZES = (24, 32, 40, 48, 64)
WIDTHS = (0.35, 0.5, 0.75, 1.0)


class AskedScorer(Scorer):
    """Remembers what it was asked for, known or not."""

    def __init__(self, usual: Scorer, known: Mapping[Candidate, float]) -> None:
        super().__init__(usual.family, usual.batches, usual.recalibration, known, usual.config)
        self.asked: set[Candidate] = set()

    def accuracy(self, candidate: Candidate) -> float:
        """As every scorer."""
        self.asked.add(candidate)
        return super().accuracy(candidate)


class Choosing:
    """Trains supernets, searches, draws; adds a line for every network."""

    def __init__(
        self,
        given: argparse.Namespace,
        base: Recipe,
        client: ProfilerClient,
        target: Target,
        lines: Lines,
        images: Callable[[int], tuple[LabelledImages, LabelledImages]],
        stages: Stages,
    ) -> None:
        self.given = given
        self.client = client
        self.target = target
        self.lines = lines
        self.images = images
        self.stages = stages
        prices = published(client, target, base, base.searched_operators(), stages)
        self.table = prices.by_target[0]
        size, width = given.reference.split("-")
        reference = mobilenet_v2(int(size), float(width), base.space.classes, base.precision)
        self.reference_ms = predicted_ms(self.table, reference)
        #: predicted, at which networks of the space are looked for
        self.aim_ms: float = given.aim_ms or self.reference_ms
        self.settings = base.model_copy(update={"latency_ref_ms": self.aim_ms})
        self._runs: dict[int, LoadedRun] = {}

    def choose(self) -> None:
        """What no line has yet: MobileNetV2, random networks, then what is found."""
        self._add("mobilenet", self._mobilenets)
        self._add("random", self._drawn)
        for arm in ("search", "random search"):
            for seed in range(SEEDS[arm]):
                if not self.lines.of("network", arm=arm, seed=seed):
                    for rank, network in enumerate(self._found(arm, seed)):
                        self._line(arm, seed, network, rank)

    def score(self) -> None:
        """What the first supernet says of the random networks."""
        known = {row["content_hash"] for row in self.lines.of("score")}
        run, scorer = self.run(0), self.scorer(0)
        for network in self.lines.networks("random", SEEDS["random"]):
            candidate = candidate_of(run.family, network)
            assert candidate is not None  # noqa: S101 - it was drawn from this family
            if network.content_hash not in known:
                accuracy = scorer.accuracy(candidate)
                self.lines.add(
                    {
                        "kind": "score",
                        "content_hash": network.content_hash,
                        "score": accuracy,
                        "standard_error": scorer.standard_error(accuracy),
                    }
                )

    def _add(self, arm: str, networks: Callable[[], list[Network]]) -> None:
        if not self.lines.of("network", arm=arm):
            for seed, network in enumerate(networks()):
                self._line(arm, seed, network)

    def _line(self, arm: str, seed: int, network: Network, rank: int = 0) -> None:
        self.lines.add(
            {
                "kind": "network",
                "arm": arm,
                "seed": seed,
                "rank": rank,
                "name": network.name,
                "content_hash": network.content_hash,
                "predicted_ms": predicted_ms(self.table, network),
                "reference_ms": self.reference_ms,
                "network": network.model_dump(mode="json"),
            }
        )

    def _mobilenets(self) -> list[Network]:
        """The slowest that are not slower than the reference: the larger ones."""
        found = []
        for size in SIZES:
            for width in WIDTHS:
                network = mobilenet_v2(
                    size, width, self.settings.space.classes, self.settings.precision
                )
                try:
                    latency_ms = predicted_ms(self.table, network)
                except MissingEntries:
                    continue
                if latency_ms <= self.reference_ms * (1 + self.settings.search.tolerance):
                    found.append((latency_ms, network))
        return [one for _, one in sorted(found, key=lambda row: row[0], reverse=True)][:MOBILENETS]

    def _drawn(self) -> list[Network]:
        """Random networks around the target."""
        family = family_of(self.settings)
        goal = goal_of(self.settings, [self.table], [self.aim_ms])
        space = OnTarget(family, goal, DRAWN_WITHIN, RANDOM_SEED, self.settings.search.limits)
        # Where few networks of a size are on target, they are drawn again and again.
        networks = (family.network(*space.draw()) for _ in range(TRIES * DRAWN))
        return [*islice({one.content_hash: one for one in networks}.values(), DRAWN)]

    def run(self, seed: int) -> LoadedRun:
        """The search that trained a seed's supernet; searched first where it is not."""
        seed %= self.given.supernets
        folder = self.given.run / f"seed-{seed}"
        if not (folder / "run.json").is_file() or read_record(folder).found is None:
            search = self.settings.search.model_copy(update={"seed": seed})
            Pipeline(
                self.client,
                self.target,
                self.settings.model_copy(update={"seed": seed, "search": search}),
                self.given.data,
                folder,
                self.stages,
                resume=(folder / CHECKPOINT).is_file(),
            ).search_only()
        if seed not in self._runs:
            self._runs = {seed: read_run(folder)}
            self._runs[seed].family.to(device())
        return self._runs[seed]

    def _found(self, arm: str, seed: int) -> list[Network]:
        """The best that one seed finds on its supernet, with as many scores as every other."""
        searcher, drawn = (
            (random_search, RANDOM_SEED + 1 + seed) if arm == "random search" else (evolution, seed)
        )
        run = self.run(seed)
        search = run.record.settings.search
        scorer = self.scorer(seed)
        space = OnTarget(run.family, self._goal(run), search.tolerance, drawn, search.limits)
        with self.stages.bar(f"{arm} {seed}") as bar:
            searcher(scorer, space, search.evaluations, lambda done: bar(done, search.evaluations))
        rows = [[*candidate, value] for candidate, value in scorer.known.items()]
        self._scores(seed).write_text(json.dumps(rows))
        best = sorted(scorer.asked, key=lambda one: (scorer.known[one], one), reverse=True)[:BEST]
        return [run.family.network(*candidate) for candidate in best]

    def _goal(self, run: LoadedRun) -> Goal:
        """The latency at which this experiment looks, whatever the supernet's own search did."""
        goal = goal_of(run.record.settings, [self.table], [self.aim_ms])
        return goal.to(device())

    def scorer(self, seed: int) -> AskedScorer:
        """By a seed's supernet, with all that it has scored already."""
        run = self.run(seed)
        own = run.record.settings
        training, _ = self.images(run.family.input_size)
        usual = scorer_of(run, own, training, own.search.scoring_images)
        path, known = self._scores(seed), {}
        if path.is_file():
            rows = json.loads(path.read_text())
            known = {Candidate(one, tuple(choices)): value for one, choices, value in rows}
        return AskedScorer(usual, known)

    def _scores(self, seed: int) -> Path:
        path: Path = self.given.run / f"scores-{seed % self.given.supernets}.json"
        return path
