"""What a run has come to so far: sent beside it, never waited for."""

from __future__ import annotations

import threading
from collections.abc import Sized
from functools import partial

import pytest

from device_agent.loop.so_far import SoFar
from netspec.errors import ProfilerUnreachable
from netspec.wire import WindowsUpload
from tests.unit.netspec.test_sustained import windows
from tests.waiting import wait_for


def _has(sent: Sized, count: int) -> bool:
    return len(sent) == count


def upload(count: int) -> WindowsUpload:
    return WindowsUpload(lease_id="l", windows=tuple(windows([1.0] * count)), is_partial=True)


def test_a_run_waits_for_no_server_and_what_is_old_is_skipped() -> None:
    sent: list[int] = []
    answered = threading.Event()

    def send(what: WindowsUpload) -> None:
        sent.append(len(what.windows))
        assert answered.wait(10)

    with SoFar(send) as so_far:
        so_far.tell(upload(1))
        wait_for(lambda: sent == [1])
        # The server hangs; the run goes on.
        so_far.tell(upload(2))
        so_far.tell(upload(3))
        answered.set()
        wait_for(lambda: sent == [1, 3])


@pytest.mark.parametrize("count", [0, 2])
def test_the_end_leaves_the_rest_to_what_sends_the_whole(count: int) -> None:
    sent: list[WindowsUpload] = []
    before = threading.active_count()
    with SoFar(sent.append) as so_far:
        for number in range(count):
            so_far.tell(upload(number + 1))
            wait_for(partial(_has, sent, number + 1))
    assert len(sent) == count
    assert threading.active_count() == before


def test_a_server_that_is_away_costs_only_what_it_was_not_told() -> None:
    sent: list[int] = []

    def send(what: WindowsUpload) -> None:
        sent.append(len(what.windows))
        if len(sent) == 1:
            raise ProfilerUnreachable("away")

    with SoFar(send) as so_far:
        for number in (1, 2):
            so_far.tell(upload(number))
            wait_for(partial(_has, sent, number))
    assert sent == [1, 2]
