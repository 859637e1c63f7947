from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.client.http import ProfilerHttp
from netspec.client.retries import LONGEST_RETRY_AFTER_S, is_passing, pause_s, retry_after_s
from netspec.errors import ProfilerRefused


def answer(status: int = 503, retry_after: str | None = None) -> httpx2.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx2.Response(status, headers=headers)


@settings(max_examples=50, deadline=None)
@given(st.floats(min_value=0.001, max_value=60))
def test_a_pause_is_half_to_all_of_the_longest(longest_s: float) -> None:
    assert longest_s / 2 <= pause_s(longest_s, None) <= longest_s


def test_pauses_differ() -> None:
    assert len({pause_s(1.0, None) for _ in range(20)}) > 1


def test_a_pause_comes_after_the_time_that_the_server_names() -> None:
    assert pause_s(2.0, answer(429, "7"), lambda low, high: (low + high) / 2) == 8.5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0.0), ("", 0.0), ("5", 5.0), (" 12 ", 12.0), ("-5", 0.0), ("soon", 0.0), ("²", 0.0)],
)
def test_seconds_are_read(header: str | None, seconds: float) -> None:
    # httpx2 takes headers in ASCII only; bytes may be anything
    made = httpx2.Response(
        503, headers=[] if header is None else [(b"Retry-After", header.encode())]
    )
    assert retry_after_s(made) == seconds


def test_dates_are_read() -> None:
    later = datetime.now(UTC) + timedelta(seconds=20)
    assert retry_after_s(answer(503, format_datetime(later, usegmt=True))) == pytest.approx(
        20, abs=2
    )
    assert retry_after_s(answer(503, format_datetime(later))) == pytest.approx(20, abs=2)
    assert retry_after_s(answer(503, format_datetime(later - timedelta(hours=1)))) == 0.0


@pytest.mark.parametrize(
    ("status", "header", "passing"),
    [
        (429, None, True),
        (502, None, True),
        (503, str(int(LONGEST_RETRY_AFTER_S)), True),
        (503, str(int(LONGEST_RETRY_AFTER_S) + 1), False),
        (504, None, True),
        (500, "1", False),
        (404, None, False),
        (200, "1", False),
    ],
)
def test_what_is_worth_another_try(status: int, header: str | None, *, passing: bool) -> None:
    assert is_passing(answer(status, header)) is passing


def test_a_client_waits_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("netspec.client.http.time.sleep", slept.append)
    answers = [answer(429, "3"), answer(503), httpx2.Response(200)]
    transport = httpx2.MockTransport(lambda _: answers.pop(0))
    with ProfilerHttp("http://farm", "t", transport=transport, retry_pauses_s=(0.5, 2.0)) as http:
        assert http.request("GET", "/table").status_code == 200
    assert 3.25 <= slept[0] <= 3.5
    assert 1.0 <= slept[1] <= 2.0


def test_a_server_that_wants_to_be_left_alone_is() -> None:
    asked: list[httpx2.Request] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return answer(503, "3600")

    with (
        ProfilerHttp("http://farm", "t", transport=httpx2.MockTransport(refuse)) as http,
        pytest.raises(ProfilerRefused, match="503"),
    ):
        http.request("GET", "/table")
    assert len(asked) == 1
