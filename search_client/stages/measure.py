"""From a space to a calibrated table: the jobs that measure what a run needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netspec.client import LatencyTable, ProfilerClient
from netspec.client.model_latency import model_latency
from netspec.networks import Network
from netspec.operators import PRECISIONS, Precision
from netspec.sampling import stratified_networks
from netspec.wire import (
    ISOLATED,
    MOST_SPACES,
    Calibration,
    EnergyRequest,
    Entry,
    Job,
    JobRequest,
    MeasuringMethod,
    ModelSubject,
    Target,
)
from search_client.progress import Stages, job_progress
from search_client.recipe import Recipe

#: calibration networks take from the aimed latency divided by this to as many times it
CALIBRATION_FACTOR = 2.0


@dataclass(frozen=True)
class MeasuredSpace:
    """A published table with how it came about."""

    table: LatencyTable
    #: operators and networks that had fresh entries and were not measured again
    reused: int


def measure_space(
    client: ProfilerClient,
    target: Target,
    settings: Recipe,
    stages: Stages,
    method: MeasuringMethod = ISOLATED,
) -> MeasuredSpace:
    """Measures a run's operators, and networks of its space to calibrate on; publishes.

    What has a fresh entry on the target is reused.

    Args:
        client: of the profiler.
        target: what to measure on.
        settings: name the space, the baseline and how much to measure.
        stages: shows the progress.
        method: with `in_network`, operators are also profiled inside networks that cover the
            space, and inside the baselines; the server merges both.

    Raises:
        JobFailed: something could not be measured.
        ProfilerRefused: no device of the target can measure by the method.
    """
    space, amounts = settings.space, settings.profiling
    spaces = tuple(one for precision in PRECISIONS for one in settings.spaces(precision))
    baselines = [
        network for precision in PRECISIONS for network in settings.every_baseline(precision)
    ]
    jobs = []
    networks = tuple(baselines)
    for start in range(0, len(spaces) if method != ISOLATED else 0, MOST_SPACES):
        request = JobRequest(
            name=f"profiles of {space.kind} {space.input_size}-{space.width:g}",
            target_id=target.id,
            spaces=spaces[start : start + MOST_SPACES],
            networks=networks if start == 0 else (),
            rounds=amounts.network_rounds,
            method=method,
        )
        jobs.append(measure(client, request, "profiled networks", stages))
    operators = measure(
        client,
        JobRequest(
            name=f"operators of {space.kind} {space.input_size}-{space.width:g}",
            target_id=target.id,
            operators=settings.operators(),
            rounds=amounts.rounds,
        ),
        "operators",
        stages,
    )
    values_ms = {entry.name: entry.value_ms for entry in client.entries(operators.id).values()}
    calibrating = _calibration_networks(settings, values_ms)
    calibration = measure(
        client,
        JobRequest(
            name="calibration networks",
            target_id=target.id,
            networks=tuple(calibrating),
            rounds=amounts.network_rounds,
        ),
        "calibration networks",
        stages,
    )
    jobs += _energy_jobs(client, target, settings, calibrating, stages)
    snapshot = client.publish(target.id, [network.content_hash for network in calibrating])
    for fitted in snapshot.calibrations:
        stages.note(wording(fitted))
    jobs += [operators, calibration]
    return MeasuredSpace(LatencyTable(snapshot), reused=sum(job.reused for job in jobs))


def _energy_jobs(
    client: ProfilerClient,
    target: Target,
    settings: Recipe,
    calibrating: Sequence[Network],
    stages: Stages,
) -> list[Job]:
    """Measures the energy of what a search by energy needs, if one is wanted."""
    windows, search = settings.profiling.energy_windows, settings.search
    if windows is None and search.energy is None and search.limits.energy_mj is None:
        return []
    precision = settings.precision
    request = JobRequest(
        name=f"energy of {settings.space.kind}"[:200],
        target_id=target.id,
        operators=tuple(one for one in settings.operators() if one.precision == precision),
        networks=tuple(
            one for one in calibrating if all(op.precision == precision for op in one.operators)
        ),
        energy=EnergyRequest() if windows is None else EnergyRequest(windows=windows),
        rounds=1,
    )
    return [measure(client, request, "energies", stages)]


def _calibration_networks(settings: Recipe, values_ms: Mapping[str, float]) -> list[Network]:
    """Networks of the space around the latency that the search will aim at, and the baselines.

    How far a sum of operators is off depends on how much a network moves through the
    caches, and so on its size: a scale holds near the networks that it was fitted on. A baseline
    is built in another way than the space, and the search aims at its latency.
    """

    def sum_ms(precision: Precision) -> float:
        return sum(values_ms[op.key] for op in settings.baseline(precision).operators)

    networks: list[Network] = []
    aim = 1.0
    if settings.latency_ref_ms is not None:
        aim = settings.latency_ref_ms / sum_ms(settings.precision)
    for precision in PRECISIONS:
        centre = aim * sum_ms(precision)
        first, *further = settings.spaces(precision)
        networks += stratified_networks(
            first,
            values_ms,
            settings.profiling.calibration_networks,
            settings.seed,
            (centre / CALIBRATION_FACTOR, centre * CALIBRATION_FACTOR),
            further,
        )
        networks += settings.every_baseline(precision)
    return networks


def wording(calibration: Calibration) -> str:
    """How sums map to whole networks, and how well, in a line."""
    held_out = calibration.held_out
    error = (
        f"; held-out error {held_out.mape_percent:.1f} % over {held_out.networks} networks"
        if held_out
        else ""
    )
    operators = "corrected operators" if calibration.factors else "operators"
    return f"{calibration.precision}: network = {calibration.scale:.3f} x sum of {operators}{error}"


def measure_models(
    client: ProfilerClient,
    target: Target,
    models: Sequence[ModelSubject],
    *,
    rounds: int,
    stages: Stages,
) -> dict[str, Entry]:
    """Measures uploaded `.tflite` files; entries by the file's SHA-256.

    Says of which the delegate leaves a part to other kernels: no table predicts those.

    Raises:
        JobFailed: something could not be measured.
    """
    request = JobRequest(
        name="deployed networks", target_id=target.id, models=tuple(models), rounds=rounds
    )
    entries = client.entries(measure(client, request, "deployed networks", stages).id)
    for model in models:
        visits = client.visits(target.id, model.sha256)
        found = model_latency(model.name, target, entries[model.sha256], visits, reused=False)
        if found.delegation == "partial":
            stages.note(f"{model.name}: {found.who_runs}; its latency cannot be predicted")
    return entries


def measure(client: ProfilerClient, request: JobRequest, label: str, stages: Stages) -> Job:
    """Files a job and waits for it behind a bar.

    Raises:
        JobFailed: something could not be measured.
    """
    job = client.create_job(request)
    if job.reused:
        stages.note(
            f"{job.reused} of {job.reused + job.tasks} {label} have fresh entries and are reused"
        )
    if not job.tasks:
        return job
    with stages.bar(f"{label}, visits") as advance:
        show = job_progress(advance)
        show(job)
        return client.wait(job, show)
