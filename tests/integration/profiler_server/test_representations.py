from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from netspec.wire import Entry, Snapshot
from netspec.wire.columns import ENTRY_COLUMNS, columns_of
from profiler_server.latency_tables import representations
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

LATEST = f"/v1/targets/{farm.identity().id}/snapshots/latest"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
pytestmark = pytest.mark.one_database


@pytest.fixture
def snapshot(api: Api) -> Snapshot:
    device = api.register(farm.registration()).id
    operators = farm.blocks(3)
    api.file(farm.job(operators, rounds=1))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1, ms={operators[1].key: 2.5}))
    path = f"/v1/targets/{farm.identity().id}/snapshots"
    return read(Snapshot, api.call("POST", path, {}, status=201))


def rows(snapshot: Snapshot) -> list[dict[str, object]]:
    columns = columns_of(snapshot)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_csv_holds_every_entry(api: Api, snapshot: Snapshot) -> None:
    answer = api.call("GET", f"{LATEST}?format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    read_back = list(csv.DictReader(io.StringIO(answer.text)))
    assert [
        Entry.model_validate({name: row[name] or None for name in ENTRY_COLUMNS})
        for row in read_back
    ] == list(snapshot.entries)
    for written, row in zip(read_back, rows(snapshot), strict=True):
        for name in row.keys() - {"measured_at"}:
            assert written[name] == ("" if row[name] is None else str(row[name]))


def test_arrow_and_parquet_hold_every_entry_and_the_rest_as_metadata(
    api: Api, snapshot: Snapshot
) -> None:
    stream = api.call("GET", LATEST, headers={"Accept": ARROW})
    assert stream.headers["Content-Type"] == ARROW
    file = api.call("GET", f"/v1/snapshots/{snapshot.id}?format=parquet")
    assert file.headers["Content-Type"] == PARQUET
    assert "Content-Encoding" not in file.headers
    for table in (
        pa.ipc.open_stream(stream.content).read_all(),
        parquet.read_table(io.BytesIO(file.content)),
    ):
        assert table.to_pylist() == rows(snapshot)
        metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        assert metadata["snapshot_id"] == snapshot.id
        assert metadata["target_id"] == snapshot.target_id
        assert json.loads(metadata["identity"]) == snapshot.identity.model_dump()
        assert json.loads(metadata["calibrations"]) == []


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/html, text/csv;q=0.5, */*;q=0.1", "text/csv; charset=utf-8"),
        (f"application/json;q=0.3, {PARQUET};q=0.9", PARQUET),
        (f"{ARROW}, application/json", ARROW),
    ],
)
def test_the_client_chooses(api: Api, snapshot: Snapshot, accept: str, content_type: str) -> None:
    answer = api.call("GET", LATEST, headers={"Accept": accept})
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert snapshot.id in answer.headers["ETag"]


def test_every_representation_has_its_own_tag(api: Api, snapshot: Snapshot) -> None:
    tags = {}
    for name in ("json", "csv", "arrow", "parquet"):
        for coding in ("identity", "gzip"):
            path, headers = f"{LATEST}?format={name}", {"Accept-Encoding": coding}
            answer = api.call("GET", path, headers=headers)
            tag = answer.headers["ETag"]
            tags[name, answer.headers.get("Content-Encoding")] = tag
            headers["If-None-Match"] = tag
            api.call("GET", path, headers=headers, status=304)
    # Parquet is compressed within, so there is one of it.
    assert len(tags) == len(set(tags.values())) == 7
    assert tags["json", None] == f'"{snapshot.id}"'
    headers = {"If-None-Match": tags["csv", None]}
    api.call("GET", f"{LATEST}?format=arrow", headers=headers, status=200)


def test_what_cannot_be_had_is_told(
    api: Api, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert snapshot
    detail = api.problem("GET", f"{LATEST}?format=xml", status=422, kind="invalid-request")
    assert "parquet" in detail
    html = {"Accept": "text/html"}
    detail = api.problem("GET", LATEST, status=406, kind="not-acceptable", headers=html)
    assert "text/csv" in detail
    monkeypatch.setattr(representations, "_PYARROW", "no-such-package")
    detail = api.problem("GET", f"{LATEST}?format=arrow", status=406, kind="not-acceptable")
    assert "can install pyarrow, this project's extra `arrow`" in detail
