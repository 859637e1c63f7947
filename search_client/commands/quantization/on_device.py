"""`search-client evaluate --on-device`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.client import ProfilerClient
from netspec.console.command import print_json
from netspec.console.units import latency_text
from netspec.errors import UserError
from search_client.commands.options import console

if TYPE_CHECKING:
    from netspec.wire import Entry, Target
    from search_client.deployment.device_accuracy import Agreement, DeviceAccuracy
    from search_client.networks.normalisation import Normalisation

_MIB = 2**20


@dataclass(frozen=True)
class DevicePlace:
    """Where images are run, and how often the file is measured there."""

    profiler_url: str
    #: beginning of a target's id; None: the only one
    target: str | None
    #: visits
    rounds: int
    #: whether what the target has run before is taken
    resume: bool


def evaluate_there(
    model: Path,
    data: Path,
    normalisation: Normalisation | None,
    run: Path | None,
    place: DevicePlace | None,
    *,
    as_json: bool,
) -> None:
    """Show accuracy, latency, load time and memory of a file on a target's device.

    Raises:
        UserError: there is no place, though what only a device has was asked for; or it strays.
    """
    from search_client.deployment.device_accuracy import (  # noqa: PLC0415
        Origin,
        evaluate_on_device,
        require_agreement,
    )
    from search_client.deployment.origin import find_origin  # noqa: PLC0415
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.measure import measure_models  # noqa: PLC0415

    if place is None:
        raise UserError("--run and --resume are of --on-device; give it, too, or leave them out")
    stages = Stages()
    origin = None if run is None else Origin(*find_origin(model.read_bytes(), run))
    with ProfilerClient(place.profiler_url) as client:
        target = client.target(place.target)
        what = f"Run {model} on {target.identity.label}"
        with stages.stage("evaluate on the device", what):
            found = evaluate_on_device(
                client,
                target,
                model,
                data,
                stages,
                normalisation=normalisation,
                origin=origin,
                resume=place.resume,
            )
            subject = client.upload_model(model.read_bytes(), model.name)
            entries = measure_models(client, target, [subject], rounds=place.rounds, stages=stages)
    entry = entries[subject.sha256]
    show(found, target, entry, as_json=as_json)
    require_agreement(found)


def show(found: DeviceAccuracy, target: Target, entry: Entry, *, as_json: bool) -> None:
    """Show what came of it, with the file's entry on the target."""
    if as_json:
        latency = {
            "latency_ms": entry.value_ms,
            "latency_low_ms": entry.low_ms,
            "latency_high_ms": entry.high_ms,
        }
        print_json({**asdict(found), "target": target.id, **latency})
        return
    for line in _lines(found, entry):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(found: DeviceAccuracy, entry: Entry) -> Iterator[str]:
    yield f"on the device: top-1 {found.top1:.2%}, top-5 {found.top5:.2%} of {found.images} images"
    yield f"  {latency_text(entry.value_ms)} a run"
    load_ms = entry.load_ms or found.load_ms
    if load_ms is not None:
        yield f"  loading the file: {latency_text(load_ms)}"
    memory_mib = found.peak_memory_mib
    if entry.peak_memory_bytes is not None:
        memory_mib = entry.peak_memory_bytes / _MIB
    if memory_mib is not None:
        yield f"  peak memory: {memory_mib:.1f} MiB"
    yield from _comparison("this machine (LiteRT)", found.host)
    if found.first_on_device is not None:
        yield (
            f"  the device strays first in {found.first_on_device.layer}, by "
            f"{found.first_on_device.relative:.0%} of its greatest value"
        )
    if found.torch is not None:
        yield from _comparison("torch", found.torch)
        first = found.first_difference
        if first is not None:
            yield (
                f"  the file strays from torch first in {first.layer}, by {first.relative:.0%} of "
                "its greatest value"
            )
    yield f"  every image: {', '.join(found.job_ids)}"


def _comparison(name: str, other: Agreement) -> Iterator[str]:
    yield (
        f"{name}: top-1 {other.top1:.2%}, top-5 {other.top5:.2%}; the same class on "
        f"{other.top1_agreement:.2%} of the images"
    )
    steps = "" if other.max_steps is None else f" ({other.max_steps} steps)"
    if other.max_difference:
        yield (
            f"  outputs differ by up to {other.max_difference:.2g}{steps}, most for "
            f"{other.worst_image}"
        )
    else:
        yield "  every output is the same"
