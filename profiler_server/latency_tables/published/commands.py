"""The commands `profiler-server import` and `profiler-server export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.operators import Precision
from netspec.protocol import ClockPolicy, Delegate
from netspec.wire import PublishRequest
from profiler_server.kit.cli import DatabaseUrl, open_database
from profiler_server.latency_tables.published.names import FormatName

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
    r"""Imports a published table as a target of its own; prints the target's id.

    The file does not say what its latencies are true for: the options must.
    Only FBNet's names the device and the precisions. The snapshot that it publishes has no
    calibration.

    Example:
      profiler-server import mobile_trim.yaml --format proxylessnas \
        --precision float32 --device-model "Pixel 1" --soc msm8996 \
        --os-build NDE63X --abi arm64-v8a --runtime "tflite 1.9" \
        --delegate none --threads 1
    """
    from profiler_server.latency_tables import service  # noqa: PLC0415
    from profiler_server.latency_tables.published import files, store  # noqa: PLC0415

    facts = {
        "device_model": device_model,
        "soc": soc,
        "os_build": os_build,
        "abi": abi,
        "runtime": runtime,
        "delegate": delegate,
        "threads": threads,
        "affinity": affinity,
        "clock_policy": clock_policy,
    }
    target, table = files.read(file, format_, facts, precision, leave_out=leave_out)
    with (
        open_database(database_url, task=f"import {file}") as (database, _),
        database.write() as session,
    ):
        store.store(session, target, table)
        # Nothing will be added to it: it can be fetched and searched with at once.
        service.publish(session, target.id, PublishRequest())
    typer.echo(f"{len(table.prices)} entries imported on target {target.id}")


def export_table(
    target: Annotated[
        str, typer.Argument(help="The target's id, or its beginning.", show_default=False)
    ],
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
    from profiler_server.devices.service import find_target  # noqa: PLC0415
    from profiler_server.latency_tables.published import files, store  # noqa: PLC0415

    with (
        open_database(database_url, task=f"export target {target}") as (database, _),
        database.read() as session,
    ):
        document = store.export(session, find_target(session, target), format_, precision)
    files.write(document, format_, output)
