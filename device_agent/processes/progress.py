"""How far the current batch is: a bar on a terminal, a line in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import structlog
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from netspec.console.heartbeat import heartbeat

_log = structlog.get_logger()


class Progress(Protocol):
    """Told of each stage of a batch and of each of its steps."""

    def stage(self, name: str, total: int) -> AbstractContextManager[None]:
        """A stage of so many steps begins, and ends with the context."""

    def advance(self) -> None:
        """One step is done."""


class TerminalProgress:
    """A bar with the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._advance = _nothing_runs

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[None]:
        """A bar while the stage lasts."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        # Four times a second: drawing takes time from the cores that do not measure.
        with RichProgress(
            *columns, console=self._console, refresh_per_second=4, transient=True
        ) as bar:
            bar_id = bar.add_task(name, total=total)
            self._advance = lambda: bar.advance(bar_id)
            try:
                yield
            finally:
                self._advance = _nothing_runs

    def advance(self) -> None:
        """One step is done."""
        self._advance()


def _nothing_runs() -> None:
    raise RuntimeError("no stage runs, so there is no step to count")


class LogProgress:
    """A line at a stage's begin, every 30 s and at its end, with the steps made and the time."""

    def __init__(self) -> None:
        self._steps = 0

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[None]:
        """Lines while the stage lasts."""
        self._steps = 0
        started = time.monotonic()

        def say(state: str) -> None:
            seconds = round(time.monotonic() - started, 1)
            _log.info(name, state=state, steps=self._steps, of=total, s=seconds)

        say("begins")
        try:
            with heartbeat(lambda: say("goes on")):
                yield
        finally:
            say("ends")

    def advance(self) -> None:
        """One step is done."""
        self._steps += 1
