"""Latencies of whole networks that are known with a published table, to calibrate its sums on.

A CSV file with a header, or JSON lines: `ms`, and `config`, the path of a network's file from the
list's own folder, with the `input_size` in px that a published one does not name.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from netspec.errors import UserError
from netspec.network_files import read_network
from netspec.operators import Precision, Side
from netspec.validation import FrozenModel, first_problem
from profiler_server.latency_tables.published.formats.table import first_of
from profiler_server.latency_tables.published.store import NetworkLatency


class NetworkRow(FrozenModel):
    """A line."""

    #: path of a network's file
    config: Annotated[str, Field(min_length=1)]
    ms: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    #: px
    input_size: Side | None = None
    precision: Precision | None = None


def read(file: Path, precision: Precision | None) -> tuple[NetworkLatency, ...]:
    """The networks with their latencies.

    Args:
        file: the list.
        precision: of networks whose line says none.

    Raises:
        UserError: the file cannot be read, lines are malformed, or a network's file is none.
    """
    found: list[NetworkLatency] = []
    malformed: list[str] = []
    for number, row in _rows(file):
        try:
            line = NetworkRow.model_validate({name: one for name, one in row.items() if one})
        except ValidationError as error:
            malformed.append(f"line {number} ({first_problem(error, NetworkRow)})")
            continue
        network = read_network(
            file.parent / line.config,
            input_size=line.input_size,
            precision=line.precision or precision or "float32",
        )
        found.append(NetworkLatency(network, line.ms))
    if malformed:
        raise UserError(f"{file}: {len(malformed)} lines are not right: {first_of(malformed)}")
    if not found:
        raise UserError(f"{file} is empty; expected lines of config, ms and input_size")
    return tuple(found)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        if lines and lines[0].lstrip().startswith("{"):
            for number, line in enumerate(lines, start=1):
                yield number, dict(json.loads(line))
        else:
            rows = csv.DictReader(lines, strict=True)
            for row in rows:
                yield rows.line_num, {str(name): value for name, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise UserError(
            f"cannot read {file}: {error}; expected CSV or JSON lines of config, ms and input_size"
        ) from error
