"""The processes that run on a fake phone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.phones.shell_run import Shell

_FIRST_PID = 1000


class Processes:
    """Background processes by number; a reboot ends them all."""

    def __init__(self) -> None:
        self._numbers = itertools.count(_FIRST_PID)
        self._tasks: dict[int, asyncio.Task[int]] = {}

    def new_pid(self) -> int:
        """A number that no process has had."""
        return next(self._numbers)

    def start(self, running: Coroutine[None, None, int], shell: Shell) -> None:
        """Starts a process in the background, which is this shell."""
        shell.pid = self.new_pid()
        self._tasks[shell.pid] = asyncio.get_running_loop().create_task(running)

    @contextmanager
    def as_process(self, pid: int) -> Iterator[None]:
        """What runs within is the process of this number."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks[pid] = task
        try:
            yield
        finally:
            del self._tasks[pid]

    def pids(self) -> list[int]:
        """Those that still run."""
        return [pid for pid, task in self._tasks.items() if not task.done()]

    def kill(self, pid: int) -> bool:
        """Ends a process; whether it ran."""
        task = self._tasks.get(pid)
        if task is None or task.done():
            return False
        return task.cancel()

    def kill_all(self) -> None:
        """Ends all of them."""
        for pid in self.pids():
            self.kill(pid)
