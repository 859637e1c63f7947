"""Stopping on request: the first signal asks, the second ends at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

#: a signal that comes so soon after the first is the same wish: a terminal and a parent
#: process both pass Ctrl-C on
_SAME_WISH_S = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequested(Exception):
    """Raised out of a wait that a signal interrupts."""


class StopSignal:
    """Whether the agent was asked to stop, and waits that notice it."""

    def __init__(self) -> None:
        #: whether the agent was asked to stop
        self.requested = False
        self._first_at = 0.0
        self._interrupts = False

    def wait(self, seconds: float) -> None:
        """Waits so long, or until the agent is asked to stop."""
        with suppress(StopRequested), self.interruptible():
            time.sleep(seconds)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A wait that holds nothing and may be broken off.

        Raises:
            StopRequested: within, when the agent is or was asked to stop.
        """
        self._interrupts = True
        try:
            if self.requested:
                raise StopRequested
            yield
        finally:
            self._interrupts = False

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM ask the agent to stop, in the main thread."""
        before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self._first_at = now
            self.requested = True
            if self._interrupts:
                raise StopRequested
        elif now - self._first_at > _SAME_WISH_S:
            os._exit(128 + number)
