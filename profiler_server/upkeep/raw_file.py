"""The file of a month's raw output: Parquet, a row for each visit whose runner printed anything.

Columns: `visit_id`, `stored_at` (UTC, us), `target_id`, `subject_hash`, `device_id`, `task_id`,
`digest` (of the whole visit as it was uploaded) and `raw`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from netspec.errors import UserError

#: rows that are in memory at a time
ROWS_AT_A_TIME = 5_000
_COLUMNS = ("visit_id", "stored_at", "target_id", "subject_hash", "device_id", "task_id", "digest")
_BLOCK = 2**20


@dataclass(frozen=True)
class RawOutput:
    """What a runner printed in a visit."""

    visit_id: str
    stored_at: datetime
    target_id: str
    subject_hash: str
    device_id: str
    task_id: str
    digest: str
    raw: str


@dataclass(frozen=True)
class Content:
    """What a file has, to be compared with what it was to have."""

    visits: int
    #: of all raw output, in UTF-8
    raw_bytes: int
    #: the sum, modulo 2**256, of the SHA-256 of every row, whatever their order
    digest: int


class _Reckoner:
    """Adds rows up to a `Content`."""

    def __init__(self) -> None:
        self._visits = 0
        self._bytes = 0
        self._sum = 0

    def add(self, row: RawOutput) -> None:
        raw = row.raw.encode()
        self._visits += 1
        self._bytes += len(raw)
        fields = "\0".join(_text(getattr(row, name)) for name in _COLUMNS)
        digest = hashlib.sha256(f"{fields}\0".encode() + raw).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % 2**256

    def content(self) -> Content:
        return Content(self._visits, self._bytes, self._sum)


def _text(value: str | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else value


def write(rows: Iterable[RawOutput], file: Path) -> Content:
    """Writes a file that survives a power cut.

    Raises:
        UserError: pyarrow is not installed.
        OSError: it cannot be written.
    """
    pa, parquet = _pyarrow()
    schema = _schema(pa)
    reckoner = _Reckoner()
    with file.open("xb") as opened, parquet.ParquetWriter(opened, schema, compression="zstd") as to:
        batch: list[RawOutput] = []
        for row in rows:
            reckoner.add(row)
            batch.append(row)
            if len(batch) == ROWS_AT_A_TIME:
                to.write_table(_table(pa, schema, batch))
                batch = []
        if batch:
            to.write_table(_table(pa, schema, batch))
    sync(file)
    return reckoner.content()


def read(file: Path) -> Iterator[RawOutput]:
    """The rows of a file.

    Raises:
        UserError: pyarrow is not installed, or the file is none that `write` has made.
    """
    pa, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(file) as opened:
            if opened.schema_arrow != _schema(pa):
                raise UserError(f"{file} is no archive of raw output; give one that archive wrote")
            for batch in opened.iter_batches(ROWS_AT_A_TIME):
                for row in batch.to_pylist():
                    yield RawOutput(**row)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"cannot read the archive {file}: {error}") from error


def content_of(rows: Iterable[RawOutput]) -> Content:
    """What rows add up to."""
    reckoner = _Reckoner()
    for row in rows:
        reckoner.add(row)
    return reckoner.content()


def sha256_of(file: Path) -> str:
    """The hash of a file's bytes.

    Raises:
        UserError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot read the archive {file}: {error.strerror}") from error
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Makes a file's bytes, or a folder's names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _schema(pa: Any) -> Any:
    kinds = {"stored_at": pa.timestamp("us", tz="UTC")}
    fields = [(name, kinds.get(name, pa.string())) for name in (*_COLUMNS, "raw")]
    return pa.schema(fields)


def _table(pa: Any, schema: Any, rows: list[RawOutput]) -> Any:
    columns = {name: [getattr(row, name) for row in rows] for name in schema.names}
    return pa.Table.from_pydict(columns, schema=schema)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional
        from pyarrow import parquet  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise UserError(
            "an archive is a Parquet file, and pyarrow is not installed: "
            "pip install 'proxyless-farm[server,arrow]'"
        ) from error
    return pa, parquet
