"""The command `profiler-server recheck`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from netspec.console.command import AsJson, print_json
from profiler_server.kit.cli import DatabaseUrl, open_database

if TYPE_CHECKING:
    from profiler_server.drift.service import Recheck


def recheck(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Has the oldest 2 % of each table measured again, and says what the last time found.

    To be started once a day, for instance by cron. A target that has drifted gets an event.

    Example:
      profiler-server recheck --database-url sqlite:////srv/profiler.db
    """
    from profiler_server.devices import repository as devices  # noqa: PLC0415
    from profiler_server.drift import service  # noqa: PLC0415

    done = []
    with open_database(database_url, task="recheck tables") as (database, settings):
        with database.read() as session:
            target_ids = [target.id for target in devices.targets(session)]
        for target_id in target_ids:
            # One after the other: a transaction that has locked one target must not want another.
            with database.write() as session:
                done.append(service.recheck(session, settings, target_id))
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
            said = "the last recheck is not measured yet"
        case "nothing due":
            said = "nothing is due"
        case "no device":
            said = "no device measures it any more"
        case "filed":
            said = f"{one.filed} operators and networks are measured again"
    if one.found is not None:
        verdict = "DRIFTED" if one.found.is_alarming else "no drift"
        said += f"; {verdict}: {one.found}"
    return said
