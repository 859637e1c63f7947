"""The commands `profiler-server import` and `profiler-server export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from netspec.errors import UserError
from netspec.operators import Precision
from netspec.protocol import ClockPolicy, Delegate
from profiler_server.kit.cli import DatabaseUrl, open_database
from profiler_server.tables import published
from profiler_server.tables.formats import FORMATS, FormatName
from profiler_server.tables.formats.table import MAX_BYTES, listing

FormatOption = Annotated[FormatName, typer.Option("--format", help="The file's format.")]


def import_table(
    file: Annotated[Path, typer.Argument(help="The published table.", show_default=False)],
    format_: FormatOption,
    device_model: Annotated[
        str | None, typer.Option(help="What was measured.", show_default=False)
    ] = None,
    soc: Annotated[str | None, typer.Option(help="Its chip.", show_default=False)] = None,
    os_build: Annotated[
        str | None, typer.Option(help="Build of its operating system.", show_default=False)
    ] = None,
    abi: Annotated[
        str | None, typer.Option(help="For instance arm64-v8a.", show_default=False)
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(help="Name and version.", show_default=False)
    ] = None,
    delegate: Annotated[
        Delegate | None, typer.Option(help="What ran it.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads that ran it.", show_default=False)
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="Of all its operators.", show_default=False)
    ] = None,
    affinity: Annotated[str, typer.Option(help="Hex mask of the cores.")] = "none",
    clock_policy: Annotated[ClockPolicy, typer.Option(help="How the clocks were kept.")] = "free",
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Import the rest of a table, and list what is not.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Imports a published table as a target of its own; prints the target's id.

    The file does not say what its latencies are true for: the options must.
    Only FBNet's names the device and the precisions.

    Example:
      profiler-server import mobile_trim.yaml --format proxylessnas --precision float32
        --device-model "Pixel 1" --soc msm8996 --os-build NDE63X --abi arm64-v8a
        --runtime "tflite 1.9" --delegate none --threads 1
    """
    facts = {
        "device_model": device_model,
        "soc": soc,
        "os_build": os_build,
        "abi": abi,
        "runtime": runtime,
        "delegate": delegate,
        "threads": threads,
    }
    _require_facts(format_, {**facts, "precision": precision})
    content = _content(file)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text in UTF-8; expected a table in {format_}") from error
    table = FORMATS[format_].read(text, precision)
    _report(table.left_out, "are no operators of ours", or_refuse=not leave_out)
    if not table.prices:
        raise UserError(f"{file} has no operator of ours; is it really a table in {format_}?")
    facts["device_model"] = device_model or table.device
    more = {"affinity": affinity, "clock_policy": clock_policy}
    target = published.identity(format_, content, {**facts, **more})
    with open_database(database_url) as (database, _), database.write() as session:
        published.store(session, target, table)
    typer.echo(f"{len(table.prices)} entries imported on target {target.id}")


def export_table(
    target: Annotated[str, typer.Argument(help="The target's id.", show_default=False)],
    format_: FormatOption,
    output: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="standard output")
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="Only these entries.", show_default="all")
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Writes a target's entries as a published table; lists those it cannot represent on stderr.

    Example:
      profiler-server export 0123456789abcdef --format proxylessnas --output table.yaml
    """
    with open_database(database_url) as (database, _), database.read() as session:
        document = published.export(session, target, format_, precision)
    _report(document.left_out, f"have no place in {format_}", or_refuse=False)
    if output is None:
        typer.echo(document.text, nl=False)
        return
    try:
        output.write_text(document.text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror}") from error


def _require_facts(format_: FormatName, facts: Mapping[str, Any]) -> None:
    named = {
        "device_model": FORMATS[format_].names_device,
        "precision": FORMATS[format_].names_precision,
    }
    missing = [name for name, value in facts.items() if value is None and not named.get(name)]
    if missing:
        options = ", ".join("--" + name.replace("_", "-") for name in missing)
        raise UserError(f"a table in {format_} does not say what it is true for; give {options}")


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise UserError(
            f"{file} is larger than {MAX_BYTES // 2**20} MiB; split it into several files"
        )
    return content


def _report(left_out: Mapping[str, str], what: str, *, or_refuse: bool) -> None:
    if not left_out:
        return
    said = f"{len(left_out)} records {what}: {listing(left_out)}"
    if or_refuse:
        raise UserError(f"{said}; import the rest with --leave-out")
    typer.echo(f"left out: {said}", err=True)
