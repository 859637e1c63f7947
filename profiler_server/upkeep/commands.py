"""The commands `profiler-server archive`, `archived`, `read-launches` and `doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netspec.console.command import AsJson, print_json
from netspec.errors import UserError
from profiler_server.kit.cli import DatabaseUrl, open_database

if TYPE_CHECKING:
    from profiler_server.upkeep.diagnosis import Diagnosis

#: columns of the table where there is no terminal to fit into
_WIDE = 120


def archive(
    folder: Annotated[Path, typer.Argument(help="Where the files go.", show_default=False)],
    keep_months: Annotated[
        int, typer.Option(min=1, max=1_200, help="Of so many whole months, raw output stays.")
    ] = 12,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Moves what runners printed long ago out of the database, into a Parquet file a month.

    A file is written, read back and compared before anything leaves the database. Visits, their
    numbers and all entries stay. Servers may run meanwhile; interrupted, it goes on where it was.

    Example: profiler-server archive /archive/profiler --keep-months 12
    """
    from profiler_server.upkeep import archive as archiving  # noqa: PLC0415

    if not folder.is_dir():
        raise UserError(f"the folder {folder} does not exist; create it first")
    with open_database(database_url, task="archive raw output") as (database, _):
        done = archiving.archive(
            database, folder, keep_months, lambda month: typer.echo(f"{month} ...", err=True)
        )
    if as_json:
        print_json(
            [
                {
                    "month": str(one.month),
                    "file": str(one.file),
                    "visits": one.visits,
                    "raw_bytes": one.raw_bytes,
                }
                for one in done
            ]
        )
        return
    for one in done:
        mb = one.raw_bytes / 2**20
        typer.echo(f"{one.file}: {one.visits} visits, {mb:.1f} MiB left the database")
    if not done:
        typer.echo(f"nothing to archive: no raw output is older than {keep_months} months")


def archived(
    file: Annotated[Path, typer.Argument(help="A file that archive wrote.", show_default=False)],
    visit: Annotated[
        str | None, typer.Option(help="Only this visit, by its id.", show_default="all")
    ] = None,
) -> None:
    """Prints archived raw output, one JSON object a line; needs no database.

    Example: profiler-server archived /archive/profiler/raw-2026-09.parquet
    """
    from profiler_server.upkeep import raw_file  # noqa: PLC0415

    found = False
    for row in raw_file.read(file):
        if visit in (None, row.visit_id):
            found = True
            typer.echo(json.dumps({**asdict(row), "stored_at": row.stored_at.isoformat()}))
    if visit is not None and not found:
        raise UserError(
            f"{file} has no visit {visit}; the month that it was stored in, by UTC, is in the "
            "file's name"
        )


def read_launches(
    archives: Annotated[
        list[Path] | None,
        typer.Argument(help="Files that archive wrote, to be read, too.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Reads load time, first inference and peak memory of visits that an older version stored.

    They are read out of what the visits' runners printed; their entries get them, too. Servers may
    run meanwhile; interrupted, it goes on where it was.

    Example: profiler-server read-launches /archive/profiler/raw-2026-09.parquet
    """
    from profiler_server.upkeep import launches  # noqa: PLC0415

    with open_database(database_url, task="read launches") as (database, _):
        done = launches.read_launches(
            database, archives or (), lambda visits: typer.echo(f"{visits:,} visits ...", err=True)
        )
    if as_json:
        print_json(asdict(done))
        return
    typer.echo(f"{done.visits} visits read, {done.telling} say something of their launch")
    if done.archived:
        typer.echo(
            f"of {done.archived} more the raw output is archived; name the files to read them, too"
        )


def doctor(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Says what the database holds, what grows how fast, and what to do about it.

    Servers may run meanwhile. Growth is that of the last 30 days.

    Example: profiler-server doctor
    """
    from profiler_server.upkeep import diagnosis  # noqa: PLC0415

    with (
        open_database(database_url, task="look at every table") as (database, _),
        database.read() as session,
    ):
        found = diagnosis.diagnose(session, is_sqlite=database.is_sqlite)
    if as_json:
        print_json(
            {
                "at": found.at.isoformat(),
                "tables": [{**asdict(one), "new_size": one.new_size} for one in found.tables],
                "free_bytes": found.free_bytes,
                "advice": list(found.advice),
            }
        )
        return
    _show(found)


def _show(found: Diagnosis) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from profiler_server.upkeep.diagnosis import megabytes  # noqa: PLC0415

    table = Table(box=None)
    table.add_column("table")
    for title in ("rows", "size", "rows a month", "size a month"):
        table.add_column(title, justify="right")
    for one in found.tables:
        size, new_size = ("" if n is None else megabytes(n) for n in (one.size, one.new_size))
        new_rows = "" if one.new_rows is None else f"{one.new_rows:,}"
        table.add_row(one.name, f"{one.rows:,}", size, new_rows, new_size)
    console = Console()
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)
    for line in found.advice or ("nothing needs to be done",):
        console.print(f"- {line}", soft_wrap=True, highlight=False, markup=False)
