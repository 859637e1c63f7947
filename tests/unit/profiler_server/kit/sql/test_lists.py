from __future__ import annotations

import pytest

from netspec.wire import EventQuery
from profiler_server.events.rows import EventRow
from profiler_server.kit.sql.lists import Condition, Listing, equal, since, until
from profiler_server.kit.sql.reach import not_about_targets

FILTERS: dict[str, Condition] = {
    "job_id": equal(EventRow.job_id),
    "device_id": equal(EventRow.device_id),
    "kind": equal(EventRow.kind),
    "since": since(EventRow.at),
    "until": until(EventRow.at),
}


def test_a_name_without_sql_is_refused_before_anybody_asks() -> None:
    Listing(EventQuery, FILTERS, {"id": (EventRow.id,)}, not_about_targets)
    with pytest.raises(TypeError, match="EventQuery filters by"):
        Listing(
            EventQuery,
            {name: one for name, one in FILTERS.items() if name != "kind"},
            {"id": (EventRow.id,)},
            not_about_targets,
        )
    with pytest.raises(TypeError, match="sorts by"):
        Listing(EventQuery, FILTERS, {"at": (EventRow.at, EventRow.id)}, not_about_targets)
