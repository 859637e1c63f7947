"""From a space to a calibrated table: the jobs that measure what a run needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.networks import Network
from netspec.operators import PRECISIONS, Operator
from netspec.sampling import stratified_networks
from netspec.spaces import Space
from netspec.wire import Entry, Job, JobRequest, ModelSubject, Target
from search_client.latency_table import LatencyTable
from search_client.profiler import ProfilerClient
from search_client.progress import Stages


@dataclass(frozen=True)
class Profile:
    """A published table with how it came about."""

    table: LatencyTable
    #: operators and networks that had fresh entries and were not measured again
    reused: int
    #: operators and networks in all
    wanted: int


def profile(
    client: ProfilerClient,
    target: Target,
    space: Space,
    more: Sequence[Operator],
    *,
    rounds: int,
    calibration_networks: int,
    seed: int,
    stages: Stages,
) -> Profile:
    """Measures a space in both precisions, and networks of it to calibrate on; publishes.

    What has a fresh entry on the target is reused.

    Args:
        client: of the profiler.
        target: what to measure on.
        space: its operators are measured.
        more: operators beside the space, in the precisions in which they are wanted.
        rounds: visits of each operator and network.
        calibration_networks: for each precision, spread over the space's latencies.
        seed: of the networks.
        stages: shows the progress.

    Raises:
        JobFailed: something could not be measured.
    """
    spaces = tuple(space.with_precision(precision) for precision in PRECISIONS)
    operators = _measure(
        client,
        JobRequest(
            name=f"operators of proxylessnas {space.input_size}-{space.width:g}",
            target_id=target.id,
            spaces=spaces,
            operators=tuple(more),
            rounds=rounds,
        ),
        "operators",
        stages,
    )
    values_ms = {entry.name: entry.value_ms for entry in client.entries(operators.id).values()}
    networks: list[Network] = []
    for precise in spaces:
        networks += stratified_networks(precise, values_ms, calibration_networks, seed)
    calibration = _measure(
        client,
        JobRequest(
            name="calibration networks",
            target_id=target.id,
            networks=tuple(networks),
            rounds=rounds,
        ),
        "calibration networks",
        stages,
    )
    snapshot = client.publish(target.id, [network.content_hash for network in networks])
    jobs = (operators, calibration)
    return Profile(
        LatencyTable(snapshot),
        reused=sum(job.reused for job in jobs),
        wanted=sum(job.reused + job.tasks for job in jobs),
    )


def measure_models(
    client: ProfilerClient,
    target: Target,
    models: Sequence[ModelSubject],
    *,
    rounds: int,
    stages: Stages,
) -> dict[str, Entry]:
    """Measures uploaded `.tflite` files; entries by the file's SHA-256.

    Raises:
        JobFailed: something could not be measured.
    """
    request = JobRequest(
        name="deployed networks", target_id=target.id, models=tuple(models), rounds=rounds
    )
    job = _measure(client, request, "deployed networks", stages)
    return client.entries(job.id)


def _measure(client: ProfilerClient, request: JobRequest, label: str, stages: Stages) -> Job:
    job = client.create_job(request)
    if job.reused:
        stages.note(
            f"{job.reused} of {job.reused + job.tasks} {label} have fresh entries and are reused"
        )
    if not job.tasks:
        return job
    with stages.bar(label) as advance:

        def show(current: Job) -> None:
            advance(current.visits_done, current.visits, "visits")

        show(job)
        return client.wait(job, show)
