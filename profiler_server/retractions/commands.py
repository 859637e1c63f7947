"""The command `profiler-server retract`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError

from netspec.console.command import AsJson, print_json
from netspec.errors import UserError
from netspec.validation import first_problem
from netspec.wire import RetractionRequest
from profiler_server.kit.cli import DatabaseUrl, open_database


def retract(
    reason: Annotated[str, typer.Option(help="Why, for whoever meets one of the visits later.")],
    device: Annotated[str | None, typer.Option(help="Those of a device, by its id.")] = None,
    token: Annotated[
        str | None, typer.Option(help="Those uploaded with a token, by its id.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="Those made for a job, by its id.")] = None,
    lease: Annotated[str | None, typer.Option(help="Those of a lease, by its id.")] = None,
    target: Annotated[str | None, typer.Option(help="Those on a target, by its id.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Those stored from this time (UTC) on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Those stored before this time (UTC).")
    ] = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Takes visits back that have all that is named in common.

    They stay, marked. Entries are derived again without them, and the latest snapshots that may
    hold them are withdrawn and published anew. Servers may run meanwhile.

    Example: profiler-server retract --device device_0a1b2c3d4e5f6071 --reason "a cracked heat sink"
    """
    from profiler_server.retractions import service  # noqa: PLC0415

    named = {
        "device_id": device,
        "token_id": token,
        "job_id": job,
        "lease_id": lease,
        "target_id": target,
        "since": since and since.replace(tzinfo=UTC),
        "until": until and until.replace(tzinfo=UTC),
    }
    try:
        request = RetractionRequest.model_validate({**named, "reason": reason})
    except ValidationError as error:
        raise UserError(first_problem(error)) from error
    with (
        open_database(database_url, task="derive entries") as (database, _),
        database.write() as session,
    ):
        done = service.retract(session, request, None)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    typer.echo(f"{done.id}: {done.visits} visits are taken back")
