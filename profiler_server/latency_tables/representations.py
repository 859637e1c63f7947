"""The formats in which a snapshot is served, and which one a client wants.

Every format, plain or gzipped, has an ETag of its own: a strong one stands for the very bytes.
"""

from __future__ import annotations

import csv
import gzip
import importlib.metadata
import io
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from fastapi import Request

from netspec.operators import content_hash
from netspec.wire import Snapshot
from netspec.wire.columns import COLUMNS, arrow_table, columns_of
from profiler_server.kit.http.compression import quality, takes_gzip
from profiler_server.kit.problems import Problem

_GZIP_LEVEL = 5
_PYARROW = "pyarrow"
#: of the columns: another version of this server may have others
_COLUMNS_TAG = content_hash(COLUMNS)[:8]


class Format(StrEnum):
    """How a snapshot is written."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
_BY_MEDIA_TYPE = {value.partition(";")[0]: name for name, value in MEDIA_TYPES.items()} | {
    "*/*": Format.JSON,
    "application/*": Format.JSON,
    "text/*": Format.CSV,
}


@dataclass(frozen=True)
class Representation:
    """A format, plain or gzipped."""

    format: Format
    gzipped: bool

    def tag(self, snapshot_id: str) -> str:
        """What its ETag holds: the snapshot's id for plain JSON, else with a suffix."""
        parts = [snapshot_id]
        if self.format is not Format.JSON:
            parts += [self.format, _COLUMNS_TAG]
        if self.format in (Format.ARROW, Format.PARQUET):
            # Another version may write other bytes.
            parts.append(_pyarrow_version())
        return "-".join([*parts, "gzip"] if self.gzipped else parts)

    def tags(self, snapshot_id: str) -> tuple[str, str]:
        """Its own and that of the other coding, which says the same once it is decoded."""
        other = Representation(self.format, not self.gzipped)
        return self.tag(snapshot_id), other.tag(snapshot_id)

    def render(self, document: str) -> bytes:
        """The bytes of a snapshot.

        Args:
            document: the snapshot's JSON.

        Raises:
            Problem: `not-acceptable`: the server lacks the package that writes this format.
        """
        if self.format is Format.JSON:
            content = document.encode()
        else:
            content = _WRITERS[self.format](Snapshot.model_validate_json(document))
        return gzip.compress(content, _GZIP_LEVEL, mtime=0) if self.gzipped else content


def wanted(request: Request) -> Representation:
    """The representation that a request asks for by `?format=` or else by `Accept`.

    Raises:
        Problem: `invalid-request`: there is no such format; `not-acceptable`.
    """
    name = request.query_params.get("format") if request.scope["query_string"] else None
    headers = request.headers
    return _wanted(name, headers.get("Accept", "*/*"), headers.get("Accept-Encoding", ""))


# Clients send the same few headers again and again.
@lru_cache(maxsize=256)
def _wanted(name: str | None, accept: str, accept_encoding: str) -> Representation:
    if name is not None:
        try:
            chosen = Format(name)
        except ValueError as error:
            names = ", ".join(Format)
            raise Problem(
                "invalid-request", f"query.format: {name!r} is none of {names}"
            ) from error
    elif accept == "*/*":
        chosen = Format.JSON
    else:
        chosen = _accepted(accept)
    if chosen in (Format.ARROW, Format.PARQUET):
        _pyarrow_version()
    # Parquet is compressed within.
    gzipped = chosen is not Format.PARQUET and takes_gzip(accept_encoding)
    return Representation(chosen, gzipped)


def _accepted(header: str) -> Format:
    best, best_weight = None, 0.0
    for item in header.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        found = _BY_MEDIA_TYPE.get(media_type)
        weight = quality(parameters)
        if found is not None and weight > best_weight:
            best, best_weight = found, weight
    if best is None:
        offered = ", ".join(value.partition(";")[0] for value in MEDIA_TYPES.values())
        raise Problem("not-acceptable", f"Accept: {header} names none of {offered}")
    return best


def _pyarrow_version() -> str:
    try:
        return importlib.metadata.version(_PYARROW)
    except importlib.metadata.PackageNotFoundError as error:
        raise Problem(
            "not-acceptable",
            "this server writes no Arrow and Parquet; its operator can install pyarrow, this "
            "project's extra `arrow`",
        ) from error


def _csv(snapshot: Snapshot) -> bytes:
    text = io.StringIO()
    columns = columns_of(snapshot)
    columns["measured_at"] = [when.isoformat() for when in columns["measured_at"]]
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def _arrow(snapshot: Snapshot) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - optional

    table = arrow_table(snapshot)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _parquet(snapshot: Snapshot) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - optional
    from pyarrow import parquet  # noqa: PLC0415 - optional

    sink = pa.BufferOutputStream()
    parquet.write_table(arrow_table(snapshot), sink)
    return sink.getvalue().to_pybytes()


_WRITERS: dict[Format, Callable[[Snapshot], bytes]] = {
    Format.CSV: _csv,
    Format.ARROW: _arrow,
    Format.PARQUET: _parquet,
}
