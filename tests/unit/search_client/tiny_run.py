"""A search of seconds on a made-up table: its settings, its table, and its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from netspec.client import LatencyTable
from search_client.latency.losses import TargetLoss
from search_client.progress import Observer, Stages
from search_client.recipe import Recipe
from search_client.search.config import SearchConfig
from search_client.search.search import SearchResult
from search_client.stages.search import run_search
from search_client.training.loop import TrainConfig
from tests.unit.search_client.tables import calibration, snapshot
from tests.unit.search_client.tiny import tiny_images, tiny_space

QUIET = Stages(Console(quiet=True))
#: one epoch of warm-up and two of search, two weight steps each
SETTINGS = Recipe(
    batch_size=16,
    held_out=0.3,
    baseline_width=0.25,
    search=SearchConfig(
        latency_loss=TargetLoss(),
        gradient="full_v2",
        warmup_epochs=1,
        joint_epochs=2,
        weight_steps_per_architecture_step=1,
        architecture_learning_rate=0.1,
        tolerance=0.05,
    ),
    train=TrainConfig(epochs=1, learning_rate=0.02),
).model_copy(update={"space": tiny_space()})


def changed(**values: object) -> Recipe:
    """`SETTINGS` with other values."""
    return Recipe.model_validate({**SETTINGS.model_dump(), **values})


def tiny_table(settings: Recipe = SETTINGS, scale: float | None = 1.0) -> LatencyTable:
    """Larger kernels and expansions take longer; without a scale it has no calibration."""
    values = {
        operator: 1.0 + getattr(operator, "kernel", 1) * getattr(operator, "expand", 1) / 10
        for operator in settings.operators()
        if operator.precision == "int8"
    }
    made = snapshot(values, [] if scale is None else [calibration("int8", scale)])
    return LatencyTable(made.model_copy(update={"id": f"{int(scale or 9)}d" * 32}))


def tiny_search(
    folder: Path,
    settings: Recipe = SETTINGS,
    tables: Sequence[LatencyTable] | None = None,
    references_ms: Sequence[float] = (10.0,),
    *,
    resume: bool = False,
    observers: Sequence[Observer] = (),
    console: Console | None = None,
) -> SearchResult:
    """A search that leaves its record in a folder."""
    return run_search(
        settings,
        tables or [tiny_table(settings, 1.0 + index) for index in range(len(references_ms))],
        references_ms,
        tiny_images(48),
        folder,
        Stages(console or Console(quiet=True), observers=observers),
        data=Path("d"),
        resume=resume,
    )
