"""The search as a stage of a run: its batches, its record, its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from netspec.client import LatencyTable
from netspec.console.units import energy_text, latency_text
from netspec.spaces import LEAST_MAP
from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.data.folders import LabelledImages, split_by_class
from search_client.latency.objective import Goal
from search_client.progress import Advance, Stages
from search_client.recipe import Recipe
from search_client.report.sentences import signal
from search_client.report.wording import latency
from search_client.runs.load import CHECKPOINT, aims_of, family_of, goal_of
from search_client.runs.record import continued, ended, read_record, record_of, write_record
from search_client.search.config import SearchMethod
from search_client.search.history import SearchStep
from search_client.search.reachable import check_reachable
from search_client.search.search import SearchResult, check_limits, check_loss, search
from search_client.training import distributed
from search_client.training.checkpoints import Checkpoints

SCORING = "networks"
#: bars of a search
PHASES: dict[SearchMethod, tuple[str, str]] = {
    "gradient": ("warm-up", "joint"),
    "evolution": ("warm-up", SCORING),
    "random": ("warm-up", SCORING),
}


def run_search(
    settings: Recipe,
    tables: Sequence[LatencyTable],
    references_ms: Sequence[float],
    training: LabelledImages,
    folder: Path,
    stages: Stages,
    *,
    data: Path,
    resume: bool = False,
    signals: bool = True,
) -> SearchResult:
    """Searches, and leaves `run.json`, `network.json` and the checkpoint in a folder.

    Args:
        settings: of the run, for the images' number of classes.
        tables: of the targets.
        references_ms: R of each target.
        training: images, of which a part is held out for the architecture steps.
        folder: of the run.
        stages: shows the progress, and tells the curve of `search`.
        data: where the images come from, for the record.
        resume: go on from the folder's checkpoint.
        signals: on SIGTERM and SIGINT the search saves itself before it ends.

    Raises:
        UserError: a table lacks something, the checkpoint is not this run's, or no network is
            within the limits.
        UnreachableLatency: no network of the space is as fast, or as slow, as a reference.
    """
    aims = aims_of(settings, tables, references_ms)
    goal = goal_of(settings, tables, references_ms).to(distributed.device())
    record = record_of(settings, aims, tables, data, training, goal.energy)
    checkpoints = Checkpoints(
        folder / CHECKPOINT,
        settings.checkpoint_minutes,
        data=record.fingerprint,
        signals=signals,
    )
    state = None
    if resume:
        record = continued(read_record(folder), record)
        state = checkpoints.resumed(stages.note)
    family = family_of(settings).to(distributed.device())
    # Before anything in the folder changes.
    check_loss(goal, family, settings.search.latency_loss)
    if settings.task is not None:
        settings.task.check(settings.space.classes)
    if goal.energy is None or settings.search.rule == "on_target":
        check_reachable(family, goal, settings.search.tolerance)
    check_limits(goal, family, settings.search)
    first = distributed.rank() == 0
    if first and not resume:
        # Else a resume would go on with the search that was here before.
        (folder / CHECKPOINT).unlink(missing_ok=True)
    if first:
        write_record(record, tables, folder)
    batches = batches_of(settings, training, family.input_size)
    if first:
        _warn_of_small_maps(settings, stages)
    with (
        stages.stage("search", _heading(settings, references_ms)),
        stages.bars(*PHASES[settings.search.method]) as bars,
    ):

        def show(step: SearchStep) -> None:
            if first:
                bars[step.phase](step.done, step.total, _remark(step))
            # The search itself sees to it that these are few.
            stages.observe("search", step.weight_steps, _values(step), now=True)

        result = search(
            family,
            goal,
            *batches,
            settings.search,
            show,
            checkpoints,
            state,
            _bar(bars),
            stages.note,
        )
    if first:
        record = record.model_copy(update={"unreadable": training.unreadable})
        write_record(ended(record, result, goal, family), tables, folder)
    _tell(result, goal, settings, stages)
    return result


def _tell(result: SearchResult, goal: Goal, settings: Recipe, stages: Stages) -> None:
    """Say what a search came to, and where that is not to be relied on."""
    expected = ", ".join(map(latency_text, result.expected_ms))
    likeliest = ", ".join(map(latency_text, result.most_likely.latency_ms))
    latency = ", ".join(map(latency_text, result.found.latency_ms))
    stages.note(
        f"E[LAT] {expected}; most likely network {likeliest}; "
        f"found {result.network.name}: {latency}"
    )
    if (energy := result.energy) is not None:
        stages.note(
            f"E[energy] {energy_text(energy.expected_mj)} of {energy_text(energy.reference_mj)}; "
            f"most likely network {energy_text(energy.likeliest_mj)}; "
            f"found: {energy_text(energy.found_mj)}"
        )
    limits = settings.search.limits
    if limits.given:
        amounts = limits.amounts(result.network, goal.aims, result.found.latency_ms)
        stages.note(f"Predicted of it: {limits.compared(amounts)}")
    if (snr := result.history.gradient_snr) is not None:
        stages.note(signal(snr, len(result.history.architecture_steps)))
    off = goal.over_reference(result.found.latency_ms) - 1
    if result.found.rule == "on_target" and abs(off) > settings.search.tolerance:
        stages.note(
            f"no network of the space is within {settings.search.tolerance:.1%} of the reference: "
            f"this is the nearest, {abs(off):.1%} {'above' if off > 0 else 'below'}"
        )


def _bar(bars: Mapping[str, Advance]) -> Callable[[int, int], None]:
    return lambda done, total: bars[SCORING](done, total, "scored on held-out images")


def _warn_of_small_maps(settings: Recipe, stages: Stages) -> None:
    """Say where kernels to choose among compute nearly the same."""
    for space in settings.spaces(settings.precision):
        if cramped := space.cramped_blocks():
            stages.note(
                f"Warning: at {space.input_size} px {cramped} of {len(space.blocks)} blocks "
                f"{'keeps' if cramped == 1 else 'keep'} maps below {LEAST_MAP} px, where kernels "
                "hardly differ: give larger images, fewer strides of 2, or space.stem_stride = 1"
            )
            return


def batches_of(
    settings: Recipe, training: LabelledImages, size: int
) -> tuple[TrainingBatches, PlainBatches]:
    """Batches for the weight steps, and held-out ones for the architecture steps."""
    remaining, held_out = split_by_class(
        training, settings.held_out, settings.seed, last=settings.held_out_last
    )
    count, shard = distributed.share(settings.batch_size), distributed.shard()
    return (
        TrainingBatches(
            remaining,
            size,
            count,
            settings.seed,
            settings.search.augment,
            device=distributed.device(),
            shard=shard,
        ),
        PlainBatches(
            held_out, size, count, settings.seed, device=distributed.device(), shard=shard
        ),
    )


def _heading(settings: Recipe, references_ms: Sequence[float]) -> str:
    references = " and ".join(map(latency_text, references_ms))
    variants = len(settings.spaces(settings.precision))
    several = f" in {variants} sizes and widths" if variants > 1 else ""
    blocks = len(settings.space.blocks)
    return f"Search {blocks} blocks{several} for {references} in {settings.precision}"


def _values(step: SearchStep) -> dict[str, float]:
    return {
        "loss": step.loss,
        "accuracy": step.accuracy,
        "expected_ms": step.expected_ms,
        "over_reference": step.expected_ms / step.reference_ms,
        "entropy": step.entropy,
        "images_per_s": step.images_per_s,
        **({} if step.gradient_snr is None else {"gradient_snr": step.gradient_snr}),
        **({} if step.expected_mj is None else {"expected_mj": step.expected_mj}),
    }


def _remark(step: SearchStep) -> str:
    expected, reference = latency(step.expected_ms), latency(step.reference_ms)
    # A line of 80 columns has room for the unit once.
    expected = expected.removesuffix(reference[-len(" ms") :])
    return (
        f"loss {step.loss:.2f}, top-1 {step.accuracy:.1%}, E[LAT] {expected} of {reference}, "
        f"entropy {step.entropy:.2f}, {step.images_per_s:.0f} images/s"
    )
