from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from profiler_server.dashboard import formatting

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "120 min"), (7_200, "2 h")],
)
def test_durations_have_one_unit(seconds: float, shown: str) -> None:
    assert formatting.duration(seconds) == shown


def test_days_are_counted_from_the_second_on() -> None:
    assert formatting.duration(47.4 * 3_600) == "47 h"
    assert formatting.duration(72 * 3_600) == "3 days"


def test_times_are_in_utc_to_the_minute() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    assert formatting.moment(there) == "2026-01-02 12:00"
    assert formatting.moment(None) == ""
    assert formatting.iso(there) == "2026-01-02T12:00:00+00:00"


def test_ages() -> None:
    assert formatting.ago(NOON, NOON + timedelta(seconds=1)) == "just now"
    assert formatting.ago(NOON, NOON + timedelta(minutes=5)) == "5 min ago"
    # Clocks differ: an agent's may be ahead.
    assert formatting.ago(NOON + timedelta(hours=1), NOON) == "just now"


def test_words() -> None:
    assert formatting.plain("lease_claimed") == "lease claimed"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36", "Chrome"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537 Chrome/120 Safari/537 Edg/120.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605 Version/17 Safari/605",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17 Safari/604",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile Safari/537", "Chrome on Android"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Firefox/115.0", "Firefox on Linux"),
        ("python-httpx2/2.16.2", "python-httpx2/2.16.2"),
        ("", "unnamed"),
    ],
)
def test_browsers_have_names(agent: str, name: str) -> None:
    assert formatting.browser(agent).startswith(name)
