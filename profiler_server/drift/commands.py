"""The command `profiler-server recheck`."""

from __future__ import annotations

import typer

from netspec.command import AsJson, print_json
from profiler_server.drift import service
from profiler_server.drift.service import Recheck
from profiler_server.kit.cli import DatabaseUrl, open_database


def recheck(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Has the oldest 2 % of each table measured again, and says what the last time found.

    To be started once a day, for instance by cron. A target that has drifted gets an event.

    Example:
      profiler-server recheck --database-url sqlite:////srv/profiler.db
    """
    with open_database(database_url) as (database, settings), database.write() as session:
        done = service.recheck(session, settings)
    if as_json:
        print_json(done)
        return
    for one in done:
        typer.echo(f"{one.target_id}: {_said(one)}")
    if not done:
        typer.echo("there are no targets yet")


def _said(one: Recheck) -> str:
    match one.state:
        case "waiting":
            return "the last recheck is not measured yet"
        case "nothing due":
            return "nothing is due"
        case "filed":
            said = f"{one.filed} operators are measured again"
    if one.found is not None:
        verdict = "DRIFTED" if one.found.is_alarming else "no drift"
        said += (
            f"; {verdict} in the last {one.found.looks}: median {one.found.median_percent:+.1f} %, "
            f"worst {one.found.worst_percent:+.1f} % ({one.found.worst})"
        )
    return said
