"""What the link says of a server that is slow, and of a clock that is wrong."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from structlog.testing import capture_logs

from device_agent.errors import ClockWrong
from device_agent.loop import server
from device_agent.loop.server import Link
from netspec.client.http import ProfilerHttp
from netspec.protocol import PHONE
from netspec.wire import DeviceRegistration, LeaseRequest
from tests.unit.device_agent.peer import IDENTITY, Peer

ME = DeviceRegistration(agent="a", serial="s", targets=(IDENTITY,), protocol=PHONE)


def link(delay_s: float = 0.0, off: timedelta = timedelta()) -> Link:
    peer = Peer()

    def answer(request: httpx2.Request) -> httpx2.Response:
        time.sleep(delay_s)
        said = peer(request)
        said.headers["Date"] = format_datetime(datetime.now(UTC) - off, usegmt=True)
        return said

    return Link(ProfilerHttp("http://test", "t", transport=httpx2.MockTransport(answer)))


@pytest.mark.parametrize("days", [400, -400])
def test_a_clock_that_is_off_by_days_is_refused(days: int) -> None:
    side = "ahead of" if days > 0 else "behind"
    with pytest.raises(ClockWrong, match=f"clock is .* {side} the profiler's"):
        link(off=timedelta(days=days)).register(ME)


@pytest.mark.parametrize(("seconds", "lines"), [(0, 0), (600, 1), (-600, 1)])
def test_a_clock_that_is_off_by_minutes_is_spoken_of(seconds: int, lines: int) -> None:
    with capture_logs() as said:
        link(off=timedelta(seconds=seconds)).register(ME)
    assert len([line for line in said if "clock differs" in line["event"]]) == lines


def test_a_server_that_does_not_answer_is_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SLOW_S", 0.05)
    slow = link(delay_s=0.4)
    with capture_logs() as said:
        slow.lease(LeaseRequest(device_id="d"))
    assert len([line for line in said if line["event"] == "no answer yet"]) >= 2
    with capture_logs() as said:
        # The server may take this long.
        slow.lease(LeaseRequest(device_id="d", wait_s=5.0))
    assert said == []
