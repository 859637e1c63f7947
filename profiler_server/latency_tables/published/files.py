"""Published tables as files: read with the facts that they lack, and written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from netspec.errors import UserError
from netspec.operators import Precision
from netspec.protocol import TargetIdentity
from profiler_server.latency_tables.published import store
from profiler_server.latency_tables.published.formats import FORMATS
from profiler_server.latency_tables.published.formats.table import (
    MAX_BYTES,
    ReadTable,
    WrittenTable,
    listing,
)
from profiler_server.latency_tables.published.names import FormatName


def read(
    file: Path,
    format_: FormatName,
    facts: Mapping[str, Any],
    precision: Precision | None,
    *,
    leave_out: bool,
) -> tuple[TargetIdentity, ReadTable]:
    """A file's prices, and the target that they become.

    Args:
        file: the table.
        format_: its format.
        facts: fields of the target that the file may not name; None: nobody said.
        precision: of all its operators; None: nobody said.
        leave_out: what is no operator of ours is listed on stderr rather than refused.

    Raises:
        UserError: a fact is missing, or the file is no such table.
    """
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
    known = {**facts, "device_model": facts["device_model"] or table.device}
    return store.identity(format_, content, known), table


def write(document: WrittenTable, format_: FormatName, output: Path | None) -> None:
    """Writes a document, to stdout if no file is named; lists what is left out on stderr.

    Raises:
        UserError: the file cannot be written.
    """
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
