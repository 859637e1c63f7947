"""Load time, first inference and peak memory: of every visit, in entries, and of old visits."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import null, select, update
from typer.testing import CliRunner

from netspec.wire import LatencyLookup, LookedUpLatencies, Snapshot, StoredVisit, Visit, VisitBatch
from profiler_server import cli
from profiler_server.entries import derivation
from profiler_server.entries.rows import DeviceEstimateRow, EntryRow, VisitRow
from profiler_server.kit.months import Month
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.upkeep import archive, launches
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

VISITS = TypeAdapter(list[StoredVisit])
OPERATORS = farm.blocks(2)
TARGET = farm.identity().id
COLUMNS = ("load_ms", "first_inference_ms", "peak_memory_bytes")
#: as `benchmark_model` prints them
PRINTED = (
    "INFO: Inference timings in us: Init: 5000, First inference: 4000, Warmup (avg): 1, Inference "
    "(avg): 1\nINFO: Memory footprint delta from the start of the tool (MB): init=1 overall=2\n"
)


def told(load_ms: int, first_ms: int, peak: int | None) -> str:
    """What the LiteRT runner tells of a launch."""
    raw = {"load_ns": load_ms * 10**6, "first_run_ns": first_ms * 10**6}
    return json.dumps(raw if peak is None else raw | {"peak_memory_bytes": peak})


#: of each operator's visits; the last is rejected
RAWS = {
    OPERATORS[0].key: (told(1, 2, None), told(3, 5, 1000), PRINTED, told(90, 90, 90)),
    OPERATORS[1].key: ("5 runs", "5 runs", "5 runs", "5 runs"),
}


@pytest.fixture
def device(api: Api) -> str:
    return api.register(farm.registration()).id


@pytest.fixture
def stored(api: Api, device: str) -> list[Visit]:
    """Visits of two operators, of which one says nothing of its launches."""
    api.file(farm.job(OPERATORS, rounds=3))
    lease = api.claim(device)
    made = [
        farm.visit(task, lease, device, round_=number).model_copy(
            update={"raw": raw, "rejected": "a call came in" if number == 3 else ""}
        )
        for task in lease.tasks
        for number, raw in enumerate(RAWS[task.subject.name])
    ]
    for visit in made:
        assert api.upload(VisitBatch(visits=(visit,))) == ["stored"]
    return made


def entry_path(place: int) -> str:
    return f"/v1/targets/{TARGET}/entries/{OPERATORS[place].content_hash}"


def launches_of(answer: dict[str, Any]) -> tuple[object, ...]:
    return tuple(answer.get(name) for name in COLUMNS)


@pytest.mark.usefixtures("stored")
def test_they_are_in_visits_entries_look_ups_and_tables(api: Api) -> None:
    visits = VISITS.validate_json(api.call("GET", f"{entry_path(0)}/visits").content)
    assert [(one.load_ms, one.first_inference_ms, one.peak_memory_bytes) for one in visits] == [
        (1.0, 2.0, None),
        (3.0, 5.0, 1000),
        (5.0, 4.0, 2 * 2**20),
        (90.0, 90.0, 90),
    ]
    # Medians over the accepted visits that say so.
    typical = (3.0, 4.0, (1000 + 2 * 2**20) // 2)
    assert launches_of(api.call("GET", entry_path(0)).json()["entry"]) == typical
    silent = api.call("GET", entry_path(1)).json()["entry"]
    assert launches_of(silent) == (None, None, None)
    assert not silent.keys() & set(COLUMNS)
    lookup = LatencyLookup(target_id=TARGET, operators=OPERATORS)
    found = read(LookedUpLatencies, api.call("POST", "/v1/latencies:lookup", lookup))
    entry = found.latencies[0].entry
    assert entry is not None
    assert (entry.load_ms, entry.first_inference_ms, entry.peak_memory_bytes) == typical
    snapshot = read(Snapshot, api.call("POST", f"/v1/targets/{TARGET}/snapshots", {}, status=201))
    of_key = {one.name: one for one in snapshot.entries}
    assert of_key[OPERATORS[0].key].peak_memory_bytes == typical[2]
    table = api.call("GET", f"/v1/snapshots/{snapshot.id}?format=csv").text
    rows = {row["name"]: row for row in csv.DictReader(table.splitlines())}
    assert launches_of(rows[OPERATORS[0].key]) == tuple(map(str, typical))
    assert launches_of(rows[OPERATORS[1].key]) == ("", "", "")


def derived(database: Database) -> list[object]:
    """Everything that is kept of launches."""
    columns = [getattr(EntryRow, name) for name in COLUMNS]
    with database.read() as session:
        return [
            session.execute(
                select(EntryRow.subject_hash, *columns).order_by(EntryRow.subject_hash)
            ),
            session.execute(
                # Of the other operator there is nothing to keep.
                select(DeviceEstimateRow.launches).where(
                    DeviceEstimateRow.subject_hash == OPERATORS[0].content_hash
                )
            ),
            session.execute(
                select(VisitRow.id, *(getattr(VisitRow, name) for name in COLUMNS)).order_by(
                    VisitRow.id
                )
            ),
        ]


def content(database: Database) -> list[object]:
    return [result.all() for result in derived(database)]  # type: ignore[attr-defined]


def as_an_older_version(database: Database) -> None:
    """Forgets what that version did not keep."""
    nothing = dict.fromkeys(COLUMNS, null())
    with database.write() as session:
        session.execute(update(VisitRow).values(nothing))
        session.execute(update(EntryRow).values(nothing))
        session.execute(update(DeviceEstimateRow).values(launches=null()))


def command(settings: Settings, *files: Path) -> dict[str, int]:
    arguments = ["read-launches", *map(str, files), "--json"]
    where = ["--database-url", settings.database_url]
    result = CliRunner().invoke(cli.app, [*arguments, *where], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, int] = json.loads(result.stdout)
    return found


@pytest.mark.usefixtures("stored")
def test_they_are_derived_alike_from_scratch(database: Database) -> None:
    before = content(database)
    with database.write() as session:
        derivation.rederive(session)
    assert content(database) == before


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("at_a_time", [1, 3, 500])
def test_old_visits_are_read_in_batches(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(launches, "VISITS_AT_A_TIME", at_a_time)
    before = content(database)
    as_an_older_version(database)
    assert command(settings) == {"visits": 8, "telling": 4, "archived": 0}
    assert content(database) == before
    # Those that say nothing are looked at again, and nothing comes of it.
    assert command(settings) == {"visits": 4, "telling": 0, "archived": 0}
    assert content(database) == before


@pytest.mark.usefixtures("stored")
def test_what_was_interrupted_goes_on(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launches, "VISITS_AT_A_TIME", 1)
    before = content(database)
    as_an_older_version(database)

    def stop(visits: int) -> None:
        if visits == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launches.read_launches(database, on_batch=stop)
    assert content(database) != before
    command(settings)
    assert content(database) == before


def test_an_upload_between_adds_to_what_is_known(
    api: Api, database: Database, settings: Settings, device: str, stored: list[Visit]
) -> None:
    as_an_older_version(database)
    api.file(farm.job(OPERATORS[:1], rounds=1, remeasure=True))
    lease = api.claim(device)
    (task,) = lease.tasks
    new = farm.visit(task, lease, device).model_copy(update={"raw": told(2, 2, 8)})
    api.upload(VisitBatch(visits=(new,)))
    assert launches_of(api.call("GET", entry_path(0)).json()["entry"]) == (2.0, 2.0, 8)
    assert command(settings)["telling"] == 4
    entry = api.call("GET", entry_path(0)).json()["entry"]
    assert launches_of(entry) == (2.5, 3.0, 1000)
    assert entry["visits"] == 4
    assert len(stored) == 8


@pytest.mark.usefixtures("stored")
def test_archived_texts_are_read_from_their_files(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    before = content(database)
    as_an_older_version(database)
    with database.write() as session:
        month = Month.of(database_now(session)).plus(-1)
        session.execute(update(VisitRow).values(stored_at=month.start))
    (archived,) = archive.archive(database, tmp_path, 0)
    assert command(settings) == {"visits": 0, "telling": 0, "archived": 8}
    assert command(settings, archived.file) == {"visits": 8, "telling": 4, "archived": 4}
    assert content(database) == before
