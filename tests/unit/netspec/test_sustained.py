from __future__ import annotations

import pytest
from pydantic import ValidationError

from netspec.wire import JobRequest, SpeedOverTime, Window


def windows(medians_ms: list[float], statuses: list[int] | None = None) -> list[Window]:
    """Windows of ten seconds each."""
    return [
        Window(
            at_s=10.0 * index,
            runs=100,
            p5_ms=0.9 * median_ms,
            median_ms=median_ms,
            p95_ms=1.2 * median_ms,
            thermal_status=statuses[index] if statuses else None,
        )
        for index, median_ms in enumerate(medians_ms)
    ]


def test_a_device_that_throttles_has_lost_a_share_of_its_speed() -> None:
    speed = SpeedOverTime.of(windows([2.0] * 9 + [2.5] * 9))
    assert (speed.first_minute_ms, speed.steady_ms) == (2.0, 2.5)
    assert speed.lost_percent == pytest.approx(20.0)
    assert speed.throttled_after_s == 90.0
    assert speed.settled


def test_one_slow_window_is_no_throttling() -> None:
    speed = SpeedOverTime.of(windows([2.0] * 5 + [3.0] + [2.0] * 12))
    assert speed.throttled_after_s is None
    assert speed.lost_percent == 0.0


def test_a_thermal_status_tells_it_before_the_clock_does() -> None:
    speed = SpeedOverTime.of(windows([2.0] * 12, [0] * 7 + [1] * 5))
    assert speed.throttled_after_s == 70.0


def test_a_device_that_still_slows_down_at_the_end_says_so() -> None:
    assert not SpeedOverTime.of(windows([2.0 + 0.1 * index for index in range(18)])).settled


def test_a_single_window_is_beginning_and_end() -> None:
    speed = SpeedOverTime.of(windows([2.0]))
    assert (speed.first_minute_ms, speed.steady_ms, speed.throttled_after_s) == (2.0, 2.0, None)
    assert speed.settled


def test_a_job_runs_one_thing_without_pause_and_nothing_else() -> None:
    model = {"kind": "model", "sha256": "0" * 64, "name": "m.tflite"}
    asked = {"name": "n", "target_id": "0" * 16, "rounds": 1, "sustained": {"subject": model}}
    request = JobRequest.model_validate(asked)
    assert request.sustained is not None
    assert request.sustained.minutes == 10.0
    for more in ({"rounds": 2}, {"models": [model]}, {"method": "in_network"}):
        with pytest.raises(ValidationError, match="`sustained` runs once on one target"):
            JobRequest.model_validate(asked | more)
    with pytest.raises(ValidationError, match="minutes"):
        JobRequest.model_validate(asked | {"sustained": {"subject": model, "minutes": 61}})
