"""How well a target's latencies repeat, out of the history of its jobs."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from netspec.client import ProfilerClient
from netspec.statistics import VisitStatistics
from netspec.wire import TargetRepeatability, Visit, VisitBatch
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api, read

TARGET = farm.identity().id
PATH = f"/v1/targets/{TARGET}/repeatability"
OPERATORS = farm.blocks(2)


@pytest.fixture
def admin(api: Api) -> Visitor:
    """Somebody who may do everything, at the dashboard."""
    visitor = Visitor(api.http.app)  # type: ignore[attr-defined]
    visitor.sign_in(api.headers["Authorization"].removeprefix("Bearer "))
    return visitor


def measure(api: Api, device: str, day: int, *ms: float, rejected_ms: float | None = None) -> None:
    """A job on a day of its own, one operator for each latency, of two visits that agree."""
    api.file(farm.job(OPERATORS[: len(ms)], rounds=2, remeasure=True))
    lease = api.claim(device)
    of_key = dict(zip((one.key for one in OPERATORS), ms, strict=False))
    made: list[Visit] = []
    for task in lease.tasks:
        for number in range(2):
            visit = farm.visit(task, lease, device, ms=of_key[task.subject.name], round_=number)
            made.append(
                visit.model_copy(update={"started_at": visit.started_at + timedelta(days=day)})
            )
        if rejected_ms is not None:
            bad = VisitStatistics.of(np.full(5, rejected_ms * 1000))
            made.append(
                farm.visit(task, lease, device).model_copy(
                    update={"rejected": "a call came in", "statistics": bad}
                )
            )
    assert set(api.upload(VisitBatch(visits=tuple(made)))) == {"stored"}
    api.release(lease)


def told(api: Api) -> TargetRepeatability:
    return read(TargetRepeatability, api.call("GET", PATH))


def test_jobs_are_compared_with_the_next_ones_of_their_device(api: Api) -> None:
    first, second = (api.register(farm.registration(serial)).id for serial in ("S1", "S2"))
    assert told(api) == TargetRepeatability(target_id=TARGET, subjects=0, sessions=0)
    measure(api, first, 0, 1.0, 4.0)
    assert told(api).subjects == 0
    # Another device is no repetition.
    measure(api, second, 1, 2.0)
    assert told(api).subjects == 0
    measure(api, first, 2, 1.1, rejected_ms=9.0)
    measure(api, first, 4, 1.0, 4.0)
    found = told(api)
    assert (found.subjects, found.sessions, found.visits_median) == (2, 5, 2)
    assert found.hours_median == 48
    assert found.consecutive_median_percent == pytest.approx(100 * 0.1 / 1.05)
    assert found.consecutive_p90_percent == pytest.approx(100 * 0.1 / 1.05)
    assert found.entry_cv_median is not None
    assert 0 < found.entry_cv_median < 0.05


def test_what_was_taken_back_does_not_count(api: Api) -> None:
    device = api.register(farm.registration()).id
    measure(api, device, 0, 1.0)
    measure(api, device, 1, 2.0)
    assert told(api).sessions == 2
    request = {"target_id": TARGET, "device_id": device, "reason": "a wrong runtime"}
    api.call("POST", "/v1/visits:retract", request)
    assert told(api).sessions == 0


def test_it_is_asked_by_the_client_and_shown_in_words(api: Api) -> None:
    device = api.register(farm.registration()).id
    measure(api, device, 0, 1.0)
    measure(api, device, 1, 1.01)
    with ProfilerClient(
        "http://testserver", api.headers["Authorization"].split()[1], transport=api.http._transport
    ) as client:
        found = client.repeatability(TARGET)
    assert found == told(api)
    assert found.sentence == (
        "consecutive jobs differ by 1.00 % (median) and 1.00 % (90th percentile), over 2 sessions "
        "of 1 subjects"
    )


def test_the_targets_page_says_it(api: Api, admin: Visitor) -> None:
    device = api.register(farm.registration()).id
    measure(api, device, 0, 1.0)
    page = admin.get(f"/targets/{TARGET}")
    assert "Repeatability: how well latencies repeat is not known" in page.text
    measure(api, device, 1, 1.01)
    assert (
        "Repeatability: consecutive jobs differ by 1.00 %" in admin.get(f"/targets/{TARGET}").text
    )


def test_a_target_that_is_not_there_is_a_problem(api: Api) -> None:
    path = f"/v1/targets/{'0' * 16}/repeatability"
    api.problem("GET", path, status=404, kind="unknown-target")
