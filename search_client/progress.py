"""What a run shows while it works: one heading a stage, one bar for everything over 2 s."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from netspec.wire import Job


class Advance(Protocol):
    """Sets a bar."""

    def __call__(self, done: int, total: int, remark: str = "") -> None:
        """So much of the total is done; the remark stands below the bars."""


def job_progress(advance: Advance) -> Callable[[Job], None]:
    """What sets a bar to the visits of a job."""

    def show(job: Job) -> None:
        waiting = job.state == "queued"
        remark = "waiting for an agent (device-agent run)" if waiting else "visits"
        advance(job.visits_done, job.visits, remark)

    return show


class _Bars(Progress):
    """Bars, and below them what the last one says: beside them there is no room on 80 columns."""

    remark = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.remark:
            yield Text(f"    {self.remark}", style="dim")


class Stages:
    """Names, draws and times the stages of a run."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        """`quiet` shows nothing: of several processes one is enough."""
        self.console = Console(quiet=True) if quiet else console
        #: wall time in s by stage, in order
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """A stage of the run; time in stages of the same name adds up."""
        self.console.print(what, style="bold", markup=False)
        started = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 1)

    @contextmanager
    def bars(self, *labels: str) -> Iterator[dict[str, Advance]]:
        """Progress bars by label, which stay when they are full."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with _Bars(*columns, console=self.console) as progress:
            tasks = {
                label: progress.add_task(f"  {label}", total=None, start=False) for label in labels
            }

            def advance(label: str, done: int, total: int, remark: str = "") -> None:
                if not progress.tasks[tasks[label]].started:
                    progress.start_task(tasks[label])
                progress.update(tasks[label], completed=done, total=total)
                progress.remark = remark

            yield {label: partial(advance, label) for label in labels}

    @contextmanager
    def bar(self, label: str) -> Iterator[Advance]:
        """One progress bar."""
        with self.bars(label) as bars:
            yield bars[label]

    def note(self, text: str) -> None:
        """A line under the stage's heading."""
        self.console.print(f"  {text}", highlight=False, markup=False)
