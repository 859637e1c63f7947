"""The commands `profiler-server import` and `profiler-server export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.operators import Precision
from netspec.protocol import ClockPolicy, Delegate
from profiler_server.kit.cli import DatabaseUrl, open_database
from profiler_server.latency_tables.published.names import FormatName

FormatOption = Annotated[FormatName, typer.Option("--format", help="The file's format.")]


def import_table(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="The published table; several files of one device become one target.",
            show_default=False,
            metavar="FILE...",
        ),
    ],
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
    affinity: Annotated[
        str | None, typer.Option(help="Hex mask of the cores.", show_default="none")
    ] = None,
    clock_policy: Annotated[
        ClockPolicy | None, typer.Option(help="How the clocks were kept.", show_default="free")
    ] = None,
    networks: Annotated[
        Path | None,
        typer.Option(
            help="Latencies of whole networks to calibrate on: lines of config, ms, input_size.",
            show_default=False,
        ),
    ] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Import the rest of a table, and list what is not.")
    ] = False,
    sure: Annotated[
        bool, typer.Option("--yes", help="Import also what is doubted, such as units.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    r"""Imports a published table as a target of its own; prints the target's id.

    The file does not say what its latencies are true for: the options must. Only FBNet's names the
    device, and only a snapshot all of it. Nothing is stored if anything is wrong.

    Example:
      profiler-server import mobile_trim.yaml --format proxylessnas \
        --precision float32 --device-model "Pixel 1" --soc msm8996 \
        --os-build NDE63X --abi arm64-v8a --runtime "tflite 1.9" \
        --delegate none --threads 1
    """
    from profiler_server.latency_tables.published import files as tables  # noqa: PLC0415
    from profiler_server.latency_tables.published import store  # noqa: PLC0415

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
    wanted = tables.read(files, format_, facts, precision, networks, leave_out=leave_out)
    with (
        open_database(database_url, task=f"import {', '.join(map(str, files))}") as (database, _),
        database.write() as session,
    ):
        found = store.import_files(session, wanted, sure=sure)
    for name in found.known:
        typer.echo(f"{name} is in the table of target {wanted.target.id} already", err=True)
    typer.echo(f"{found.entries} entries imported on target {wanted.target.id}")


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
    calibrated: Annotated[
        bool,
        typer.Option("--calibrated", help="Write what sums of networks need; the header says how."),
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Writes a target's entries as a published table; lists those it cannot represent on stderr.

    Example:
      profiler-server export 0123456789abcdef --format proxylessnas --output table.yaml
    """
    from profiler_server.devices.service import find_target  # noqa: PLC0415
    from profiler_server.latency_tables.published import files  # noqa: PLC0415
    from profiler_server.latency_tables.published.export import export  # noqa: PLC0415

    with (
        open_database(database_url, task=f"export target {target}") as (database, _),
        database.read() as session,
    ):
        found = find_target(session, target)
        document = export(session, found, format_, precision, calibrated=calibrated)
    files.write(document, format_, output)
