from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler_server.kit.months import Month

MONTHS = st.builds(Month, st.integers(1900, 2900), st.integers(1, 12))


@given(MONTHS, st.integers(-5_000, 5_000))
def test_months_are_counted(month: Month, months: int) -> None:
    there = month.plus(months) if 0 < month.year * 12 + months < 9_000 * 12 else month
    back = there.plus(-months) if there != month or months == 0 else month
    assert back == month
    assert (there > month) == (months > 0 and there != month)


@given(MONTHS)
def test_a_month_is_from_its_start_to_the_next(month: Month) -> None:
    assert Month.of(month.start) == month
    assert Month.of(month.end - timedelta(microseconds=1)) == month
    assert Month.of(month.end) == month.plus(1)
    assert Month.parse(str(month)) == month


def test_a_time_elsewhere_is_in_the_month_of_utc() -> None:
    there = datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=5)))
    assert str(Month.of(there)) == "2025-12"
    assert Month(2025, 12).end == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "26-01", "2026-1", "x"])
def test_what_names_no_month_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="2026-09"):
        Month.parse(text)
