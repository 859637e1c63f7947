from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from netspec.protocol import PHONE, MeasurementProtocol
from netspec.statistics import VisitStatistics
from netspec.wire import Conditions, Visit
from profiler_server.visits.acceptance import Rules, rejection, rules_of

PHONES = rules_of(PHONE.model_dump_json())
COMPUTERS = rules_of(MeasurementProtocol().model_dump_json())
#: as an agent from before there were gates has registered
OLD = rules_of('{"version":1,"warmup_ms":5.0,"measure_ms":12.0,"min_runs":10,"max_runs":2000}')


def visit(before: Conditions, after: Conditions, rejected: str = "") -> Visit:
    return Visit(
        id=UUID(int=1),
        task_id="t",
        device_id="d",
        target_id="0" * 16,
        subject_hash="0" * 64,
        round=0,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        statistics=VisitStatistics(
            count=1, min_us=1, p5_us=1, median_us=1, p95_us=1, mean_us=1, std_us=0
        ),
        before=before,
        after=after,
        rejected=rejected,
        raw="",
    )


GOOD = Conditions(thermal_status=0, battery_percent=30.0, battery_celsius=37.0)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (Conditions(thermal_status=1), "thermal status 1, more than 0,"),
        (Conditions(battery_percent=29.5), "battery at 29.5 %, less than 30 %,"),
        (Conditions(battery_celsius=37.1), "battery at 37.1 C, more than 37 C,"),
    ],
)
def test_bad_conditions_before_or_after_are_told(bad: Conditions, says: str) -> None:
    assert rejection(visit(bad, GOOD), PHONES) == f"{says} before the visit"
    assert rejection(visit(GOOD, bad), PHONES) == f"{says} after the visit"


@pytest.mark.parametrize("rules", [PHONES, COMPUTERS, OLD])
def test_good_and_unknown_conditions_are_accepted(rules: Rules) -> None:
    assert rejection(visit(GOOD, Conditions()), rules) == ""


def test_a_computer_may_run_on_battery_but_not_throttle() -> None:
    low = Conditions(battery_percent=5.0, battery_celsius=50.0)
    hot = Conditions(thermal_status=2)
    for rules in (COMPUTERS, OLD):
        assert rejection(visit(low, low), rules) == ""
        assert rejection(visit(GOOD, hot), rules).startswith("thermal status 2")


def test_the_agents_own_reason_stands() -> None:
    hot = Conditions(thermal_status=2)
    assert rejection(visit(hot, hot, "a call came in"), PHONES) == "a call came in"
