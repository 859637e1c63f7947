"""Published tables as files: read with the facts that they lack, and written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from netspec.errors import UserError
from netspec.operators import Precision
from netspec.protocol import TargetIdentity
from profiler_server.latency_tables.published import network_latencies, store
from profiler_server.latency_tables.published.formats import FORMATS
from profiler_server.latency_tables.published.formats.table import (
    MAX_BYTES,
    WrittenTable,
    listing,
)
from profiler_server.latency_tables.published.names import FormatName
from profiler_server.latency_tables.published.store import Import, ImportedFile

#: what is usually so of a target that a file does not name
_USUAL = {"affinity": "none", "clock_policy": "free"}


def read(
    files: Sequence[Path],
    format_: FormatName,
    facts: Mapping[str, Any],
    precision: Precision | None,
    networks: Path | None = None,
    *,
    leave_out: bool,
) -> Import:
    """What files say, and the target that they become.

    Args:
        files: of one device.
        format_: theirs.
        facts: fields of the target that the files may not name; None: nobody said.
        precision: of all their operators; None: nobody said.
        networks: latencies of whole networks, to calibrate on.
        leave_out: what is no operator of ours is listed on stderr rather than refused.

    Raises:
        UserError: a fact is missing or not wanted, or a file is no such table.
    """
    _require_facts(format_, facts, precision)
    read_files = tuple(_read(file, format_, precision, leave_out=leave_out) for file in files)
    identities = {file.table.identity for file in read_files}
    devices = {file.table.device for file in read_files}
    if len(identities) > 1 or len(devices) > 1:
        raise UserError(
            f"the files are of several devices ({', '.join(sorted(map(str, devices)))}) or "
            "snapshots; import them one by one"
        )
    return Import(
        target=_target(format_, facts, precision, read_files[0]),
        format=format_,
        precision=precision,
        files=read_files,
        networks=network_latencies.read(networks, precision) if networks else (),
    )


def _read(
    file: Path, format_: FormatName, precision: Precision | None, *, leave_out: bool
) -> ImportedFile:
    content = _content(file)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text in UTF-8; expected a table in {format_}") from error
    table = FORMATS[format_].read(text, precision)
    _report(table.left_out, f"of {file} are no operators of ours", or_refuse=not leave_out)
    if not table.prices:
        raise UserError(f"{file} has no operator of ours; is it really a table in {format_}?")
    return ImportedFile(file.name, hashlib.sha256(content).hexdigest(), table)


def _target(
    format_: FormatName, facts: Mapping[str, Any], precision: Precision | None, file: ImportedFile
) -> TargetIdentity:
    if file.table.identity is not None:
        return file.table.identity
    said = {name: value for name, value in facts.items() if value is not None}
    known = {**_USUAL, "device_model": file.table.device, **said}
    return store.identity(format_, precision, known)


def write(document: WrittenTable, format_: FormatName, output: Path | None) -> None:
    """Writes a document, to stdout if no file is named; lists what is left out on stderr.

    Raises:
        UserError: the file cannot be written.
    """
    _report(document.left_out, f"have no place in {format_}", or_refuse=False)
    if document.note:
        typer.echo(document.note, err=True)
    if output is None:
        typer.echo(document.text, nl=False)
        return
    try:
        output.write_text(document.text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror}") from error


def _require_facts(
    format_: FormatName, facts: Mapping[str, Any], precision: Precision | None
) -> None:
    named = FORMATS[format_]
    given = [name for name, value in facts.items() if value is not None]
    if named.names_target and given:
        raise UserError(
            f"a table in {format_} says itself what it is true for; leave {_options(given)} out"
        )
    missing = [name for name, value in facts.items() if value is None and name not in _USUAL]
    if precision is None and not named.names_precision:
        missing.append("precision")
    if named.names_device:
        missing = [name for name in missing if name != "device_model"]
    if missing and not named.names_target:
        raise UserError(
            f"a table in {format_} does not say what it is true for; give {_options(missing)}"
        )


def _options(names: Sequence[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


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
