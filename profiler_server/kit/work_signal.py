"""Wakes waiting requests when there may be work for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class WorkSignal:
    """Within one process; other replicas' work is found by asking the database again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._closing = False

    @property
    def closing(self) -> bool:
        """Whether the server is going down and nobody should wait any more."""
        return self._closing

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """What happens from here on is not missed."""
        listener = Listener()
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def notify(self) -> None:
        """There may be work; callable from any thread."""
        with self._lock:
            for listener in self._listeners:
                listener.wake()

    def close(self) -> None:
        """Sends everybody home."""
        self._closing = True
        self.notify()


class Listener:
    """One waiting request, in the event loop that made it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Ends the wait; callable from any thread."""
        self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, timeout_s: float) -> None:
        """Returns at the next wake, or after so many seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()
