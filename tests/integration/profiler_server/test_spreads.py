"""The median, 95th percentile and standard deviation of runs: in entries and their tables."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from sqlalchemy import null, update

from netspec.statistics import VisitStatistics
from netspec.wire import Entry, EntryDetail, Snapshot, VisitBatch
from profiler_server.entries import derivation
from profiler_server.entries.rows import DeviceEstimateRow, EntryRow
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

(OPERATOR,) = farm.blocks(1)
TARGET = farm.identity().id
COLUMNS = ("median_ms", "p95_ms", "std_ms")
#: us, a visit a line
RUNS = ([1000, 1100, 1500], [1000, 1200, 1300], [900, 1300, 4000])


def store(api: Api, visits: int) -> None:
    """The first visits of `RUNS`, and a rejected one."""
    device = api.register(farm.registration()).id
    api.file(farm.job((OPERATOR,), rounds=visits, remeasure=True))
    lease = api.claim(device)
    (task,) = lease.tasks
    runs = [*RUNS[:visits], [9e6, 9e6, 9e6]]
    made = [
        farm.visit(task, lease, device, round_=number).model_copy(
            update={
                "statistics": VisitStatistics.of(np.array(own, dtype=np.float64)),
                "rejected": "a call came in" if number == visits else "",
            }
        )
        for number, own in enumerate(runs)
    ]
    api.upload(VisitBatch(visits=tuple(made)))
    api.release(lease)


def entry(api: Api) -> Entry:
    path = f"/v1/targets/{TARGET}/entries/{OPERATOR.content_hash}"
    return read(EntryDetail, api.call("GET", path)).entry


def spreads(found: Entry) -> tuple[float | None, ...]:
    return found.median_ms, found.p95_ms, found.std_ms


def expected(visits: int) -> list[float]:
    every = [VisitStatistics.of(np.array(own, dtype=np.float64)) for own in RUNS[:visits]]
    of_visits = [(one.median_us, one.p95_us, one.std_us) for one in every]
    return [float(one) / 1000 for one in np.median(of_visits, axis=0)]


def test_an_entry_has_medians_over_its_accepted_visits(api: Api) -> None:
    store(api, 3)
    assert spreads(entry(api)) == pytest.approx(expected(3))
    snapshot = read(Snapshot, api.call("POST", f"/v1/targets/{TARGET}/snapshots", {}, status=201))
    assert spreads(snapshot.entries[0]) == pytest.approx(expected(3))
    table = api.call("GET", f"/v1/snapshots/{snapshot.id}?format=csv").text
    (row,) = csv.DictReader(table.splitlines())
    assert [float(row[name]) for name in COLUMNS] == pytest.approx(expected(3))


def test_entries_of_an_older_version_get_them_with_the_next_visit_or_from_scratch(
    api: Api, database: Database
) -> None:
    store(api, 2)
    nothing = dict.fromkeys(COLUMNS, null())
    with database.write() as session:
        session.execute(update(EntryRow).values(nothing))
        session.execute(update(DeviceEstimateRow).values(spreads_us=null()))
    assert spreads(entry(api)) == (None, None, None)
    with database.write() as session:
        derivation.rederive(session)
    assert spreads(entry(api)) == pytest.approx(expected(2))
    with database.write() as session:
        session.execute(update(DeviceEstimateRow).values(spreads_us=null()))
    store(api, 2)
    # Each of the two visits twice: the same medians.
    assert entry(api).visits == 4
    assert spreads(entry(api)) == pytest.approx(expected(2))
