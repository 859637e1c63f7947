import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from device_agent.processes.stop import StopRequested, StopSignal


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    made = StopSignal()
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    with made.on_signals():
        yield made
    signal.signal(signal.SIGALRM, before)


def test_a_signal_only_asks(stop: StopSignal) -> None:
    assert not stop.requested
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested


def test_a_signal_breaks_off_an_interruptible_wait(stop: StopSignal) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(StopRequested), stop.interruptible():
        time.sleep(60)


def test_no_wait_begins_after_the_wish_to_stop(stop: StopSignal) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    before = time.monotonic()
    stop.wait(60)
    assert time.monotonic() - before < 10
    with pytest.raises(StopRequested), stop.interruptible():
        raise AssertionError("the wait began")


def test_the_same_wish_told_twice_is_one(stop: StopSignal) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal().on_signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_wish_ends_the_process_at_once() -> None:
    script = """
import os, signal, time
from device_agent.processes import stop
stop._SAME_WISH_S = 0.0
with stop.StopSignal().on_signals():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, timeout=50)
    assert ended.returncode == 128 + signal.SIGTERM
