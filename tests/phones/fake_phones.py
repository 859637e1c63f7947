"""Any number of fake phones in one thread; each has its own port, files, state and faults."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from tests.phones.fake_phone import FakePhone
from tests.phones.state import PhoneState

_Result = TypeVar("_Result")

_CALL_TIMEOUT_S = 10.0
_SWITCH_S = 0.0002


class FakePhones:
    """Any number of fake phones, served by one thread."""

    def __init__(self) -> None:
        self._switch_s = sys.getswitchinterval()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake phones")
        self._tasks: set[asyncio.Task[Any]] = set()
        self.phones: list[FakePhone] = []

    def add(self, state: PhoneState | None = None) -> FakePhone:
        """A phone that is switched on."""
        phone = FakePhone(self, state or PhoneState(serial=f"FAKE{len(self.phones):04}"))
        self.wait(phone.up())
        self.phones.append(phone)
        return phone

    def soon(self, change: Callable[[], object]) -> None:
        """Does it in the phones' thread, without waiting."""
        self._loop.call_soon_threadsafe(change)

    def start(self, running: Coroutine[None, None, Any]) -> None:
        """Starts it in the phones' thread, which is this one."""
        task = self._loop.create_task(running)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def wait(self, running: Coroutine[Any, Any, _Result]) -> _Result:
        """Does it in the phones' thread, and waits for its result."""
        return asyncio.run_coroutine_threadsafe(running, self._loop).result(_CALL_TIMEOUT_S)

    def __enter__(self) -> Self:
        # Host and phones take turns at every packet: they must not wait 5 ms for each other.
        sys.setswitchinterval(_SWITCH_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        sys.setswitchinterval(self._switch_s)

    async def _end(self) -> None:
        for phone in self.phones:
            await phone.end()
        for task in self._tasks:
            task.cancel()
        # Connections that were cut say so to their readers in the loop's next rounds.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=_CALL_TIMEOUT_S)
