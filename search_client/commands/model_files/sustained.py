"""`search-client sustained`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from netspec.client import ProfilerClient
from netspec.client.model_calls import read_model
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.units import duration_text, latency_text
from netspec.errors import UserError
from netspec.wire import Job, JobRequest, SustainedRequest, SustainedSpeed
from search_client.commands.options import ProfilerUrl, TargetOption, console
from search_client.progress import Advance, Stages

_S_PER_MINUTE = 60


def sustained(
    model: Annotated[
        Path | None, typer.Argument(help="A .tflite file.", metavar="MODEL", show_default=False)
    ] = None,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    minutes: Annotated[
        float, typer.Option(min=1, max=60, help="Minutes to run it without pause.")
    ] = 10.0,
    job: Annotated[
        str | None,
        typer.Option(help="Show what this job found instead; its id, or its beginning."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a .tflite file without pause, and see how fast it stays as the device warms up.

    The file is uploaded, an agent of the target runs it for so many minutes, and every ten seconds
    its latency, the clock, the temperature and Android's thermal status are kept. Printed are the
    first minute, the steady state, when the device throttles, and the share of speed that is lost.
    """
    if (model is None) == (job is None):
        raise UserError("give either a MODEL to run or a --job to show")
    with ProfilerClient(profiler_url) as client:
        if model is None:
            job_id = client.find_job(job or "").id
        else:
            job_id = _run(client, model, target, minutes)
        found = client.sustained(job_id)
    if as_json:
        print_json(found)
        return
    for line in _lines(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if found.windows:
        console.print(_windows(found))


def _run(client: ProfilerClient, model: Path, target: str | None, minutes: float) -> str:
    """The id of a job that has run the model."""
    content = read_model(model)
    chosen = client.target(target)
    request = JobRequest(
        name=f"{model.name} without pause"[:200],
        target_id=chosen.id,
        rounds=1,
        sustained=SustainedRequest(
            subject=client.upload_model(content, model.name), minutes=minutes
        ),
    )
    with Stages().bar("seconds") as advance:
        return client.wait(client.create_job(request), _clock(advance, minutes)).id


def _clock(advance: Advance, minutes: float) -> Callable[[Job], None]:
    """What sets a bar to the time since a job began, which is all that is known of it."""
    total = round(minutes * _S_PER_MINUTE)
    began: list[float] = []

    def show(job: Job) -> None:
        if job.unserved:
            advance(0, total, f"no device serves target {job.unserved[0]} (device-agent run)")
        elif job.state == "queued":
            advance(0, total, "waiting for an agent (device-agent run)")
        else:
            began[:] = began or [time.monotonic()]
            advance(min(round(time.monotonic() - began[0]), total), total, "")

    return show


def _lines(found: SustainedSpeed) -> list[str]:
    heading = f"{found.subject.name}, {found.minutes:g} min without pause on {found.target_id}"
    speed = found.speed
    if speed is None:
        return [f"{heading}: not run yet"]
    throttled = f"not within {found.minutes:g} min"
    if speed.throttled_after_s is not None:
        throttled = f"after {duration_text(speed.throttled_after_s)}"
    elif found.is_partial:
        throttled = "not so far"
    if found.is_partial:
        last = latency_text(found.windows[-1].median_ms)
        ends = [f"  so far: {last} in the last of {len(found.windows)} windows"]
    else:
        settled = "over the last third"
        steady = settled if speed.settled else "still changing at the end: run it longer"
        ends = [
            f"  steady state: {latency_text(speed.steady_ms)}, {steady}",
            f"  speed lost: {speed.lost_percent:.1f} %",
        ]
    return [
        heading,
        f"  first minute: {latency_text(speed.first_minute_ms)}",
        *ends,
        f"  throttles: {throttled}",
    ]


def _windows(found: SustainedSpeed) -> Table:
    table = Table(*(Column(name, justify="right") for name in _COLUMNS))
    for one in found.windows:
        table.add_row(
            f"{one.at_s:.0f} s",
            latency_text(one.median_ms),
            _number(one.cpu_mhz, 0),
            _number(one.cpu_celsius, 1),
            _number(one.battery_celsius, 1),
            _number(one.thermal_status, 0),
        )
    return table


_COLUMNS = ("from", "median", "MHz", "CPU °C", "battery °C", "thermal status")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
