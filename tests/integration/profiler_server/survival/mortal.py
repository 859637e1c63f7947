"""Servers that end, or stop for a while, at a chosen step of a transaction.

A step is a statement about to be executed, or a transaction about to be committed or just
committed. Each server is a real process on a real socket; it is forked from a process that has
the imports behind it, so that a test can afford dozens of them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from profiler_server import serving
from profiler_server.app import create_app
from profiler_server.kit import logs
from profiler_server.kit.settings import Settings
from tests.forked import processes

_START_TIMEOUT_S = 60
_END_TIMEOUT_S = 20


@dataclass(frozen=True)
class Fuse:
    """Shared with one server: at which step something happens to it."""

    #: steps left; 0: nothing will happen
    left: Any
    #: the signal that the server sends itself
    number: signal.Signals

    def step(self, *_: object, **__: object) -> None:
        """Counts a step; the last one burns the fuse."""
        with self.left.get_lock():
            if self.left.value == 0:
                return
            self.left.value -= 1
            burnt = self.left.value == 0
        if burnt:
            os.kill(os.getpid(), self.number)


class Mortal:
    """A server process; ended the hard way at the end of the block.

    Args:
        settings: of the server.
        port: 0: any that is free.
        number: what happens when the fuse burns.
        hook: called in the server's process before it starts.
    """

    def __init__(
        self,
        settings: Settings,
        port: int = 0,
        *,
        number: signal.Signals = signal.SIGKILL,
        hook: Callable[[], None] | None = None,
    ) -> None:
        self._fuse = Fuse(processes.Value("i", 0), number)
        self.log = settings.server_key_file.with_suffix(".log")
        receiver, sender = processes.Pipe(duplex=False)
        self._process = processes.Process(
            target=_serve, args=(settings, port, self._fuse, sender, self.log, hook), daemon=True
        )
        self._process.start()
        sender.close()
        with receiver:
            assert receiver.poll(_START_TIMEOUT_S), f"the server is silent: {self.log.read_text()}"
            self.port: int = receiver.recv()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process.pid is not None
        return self._process.pid

    def light(self, steps: int) -> None:
        """Lets the fuse burn at that step from here on."""
        self._fuse.left.value = steps

    def put_out(self) -> int:
        """The steps that were left; nothing happens any more."""
        with self._fuse.left.get_lock():
            left: int = self._fuse.left.value
            self._fuse.left.value = 0
        return left

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def stops(self) -> None:
        """Waits until the process is stopped (not ended)."""
        until = time.monotonic() + _END_TIMEOUT_S
        while self._state() != "T":
            assert time.monotonic() < until, "the server has not stopped"
            time.sleep(0.005)

    def _state(self) -> str:
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0]

    def died(self) -> bool:
        """Waits for its end; whether it was killed by a signal."""
        self._process.join(_END_TIMEOUT_S)
        return (self._process.exitcode or 0) < 0

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.join(_END_TIMEOUT_S)


def _serve(
    settings: Settings,
    port: int,
    fuse: Fuse,
    announced: Connection,
    log: Path,
    hook: Callable[[], None] | None,
) -> None:
    with log.open("a", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    logs.configure("warning")
    event.listen(Engine, "before_cursor_execute", fuse.step)
    event.listen(Engine, "commit", fuse.step)
    event.listen(Session, "after_commit", fuse.step)
    if hook is not None:
        hook()
    listening = serving.listen("127.0.0.1", port)
    app = create_app(settings)
    serving.serve(app, listening, lambda: announced.send(listening.getsockname()[1]))
