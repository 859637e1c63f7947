"""`search-client jobs`: what was filed at the profiler."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.wire import FailureQuery, Job, JobQuery
from search_client.commands.options import ProfilerUrl, TargetOption, console
from search_client.commands.queries import (
    Limit,
    NamePart,
    OwnerOption,
    Since,
    Sort,
    State,
    Until,
    query_of,
)

app = typer.Typer(help="Look at the profiler's jobs, and end or repeat them.", no_args_is_help=True)

JobId = Annotated[
    str,
    typer.Argument(help="The job's id, or its beginning, with or without `job_`.", metavar="ID"),
]


@app.command("list", epilog="Example: search-client jobs list --state running --sort=-priority")
def list_jobs(
    profiler_url: ProfilerUrl = DEFAULT_URL,
    state: State = None,
    name: NamePart = None,
    owner: OwnerOption = None,
    target: TargetOption = None,
    since: Since = None,
    until: Until = None,
    sort: Sort = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    query = query_of(
        JobQuery, state=state, name=name, owner=owner, since=since, until=until, sort=sort
    )
    with ProfilerClient(profiler_url) as client:
        if target:
            query = query.model_copy(update={"target_id": client.target(target).id})
        jobs = client.jobs(query, most=limit)
    if as_json:
        print_json(jobs)
        return
    table = Table(
        Column("job", no_wrap=True), "name", "state", "tasks", "failed", "visits", "by", "filed"
    )
    for job in jobs:
        table.add_row(
            job.id,
            escape(job.name),
            f"{job.state}, no device" if job.unserved else job.state,
            f"{job.tasks_done} / {job.tasks}",
            str(job.tasks_failed),
            f"{job.visits_done} / {job.visits}",
            escape(job.owner.name if job.owner else ""),
            f"{job.created_at:%Y-%m-%d %H:%M} UTC",
        )
    console.print(table if jobs else "No job was filed yet that is so.")


@app.command(epilog="Example: search-client jobs show 5f0c")
def show(job_id: JobId, profiler_url: ProfilerUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show one job, how far it is, and what failed."""
    with ProfilerClient(profiler_url) as client:
        _print(client.find_job(job_id), as_json=as_json)


@app.command(epilog="Example: search-client jobs failures 5f0c --name MBConv")
def failures(
    job_id: JobId,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    name: NamePart = None,
    target: TargetOption = None,
    limit: Limit = 1_000,
    as_json: AsJson = False,
) -> None:
    """List a job's tasks that were given up, and why."""
    query = query_of(FailureQuery, name=name)
    with ProfilerClient(profiler_url) as client:
        if target:
            query = query.model_copy(update={"target_id": client.target(target).id})
        found = client.failures(client.find_job(job_id).id, query, most=limit)
    if as_json:
        print_json(found)
        return
    table = Table("subject", Column("target", no_wrap=True), "reason of the last failure")
    for one in found:
        table.add_row(escape(one.subject), one.target_id or "", escape(one.reason))
    console.print(table if found else "No task was given up that is so.")


@app.command(epilog="Example: search-client jobs cancel 5f0c")
def cancel(job_id: JobId, profiler_url: ProfilerUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Cancel a job; visits that were made stay."""
    with ProfilerClient(profiler_url) as client:
        _print(client.cancel(client.find_job(job_id).id), as_json=as_json)


@app.command(epilog="Example: search-client jobs retry 5f0c")
def retry(job_id: JobId, profiler_url: ProfilerUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Return a job's failed tasks to the queue, as if they had never failed."""
    with ProfilerClient(profiler_url) as client:
        _print(client.retry(client.find_job(job_id).id), as_json=as_json)


def _print(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    tasks = f"{job.tasks_done} of {job.tasks} tasks done, {job.tasks_failed} failed"
    visits = f"{job.visits_done} of {job.visits} visits"
    by = f" by {job.owner.name} ({job.owner.token_id})" if job.owner else ""
    lines = [
        f"{job.id}: {job.name}",
        f"  {job.state}; {tasks}, {job.reused} reused; {visits}",
        f"  on {', '.join(job.target_ids)}; filed {job.created_at:%Y-%m-%d %H:%M} UTC{by}",
    ]
    if job.table_error_percent is not None:
        lines.append(f"  a network's sum is expected to be off by {job.table_error_percent:.1f} %")
    if job.unserved:
        lines.append(
            f"  no device serves {', '.join(job.unserved)}: none has it, or all are in quarantine "
            "or silent; start `device-agent run` where one is, or cancel the job"
        )
    lines += [f"  {failure.subject}: {failure.reason}" for failure in job.failures]
    hidden = job.tasks_failed - len(job.failures)
    listed = f"`search-client jobs failures {job.id}` lists all"
    lines += [f"  and {hidden} more failures; {listed}"] if hidden > 0 else []
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
