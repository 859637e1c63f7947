"""What a run shows on stderr while it works, as stdout is for results.

On a terminal: one heading a stage, one bar for everything over 2 s. In a log: a line at the begin
and the end of each stage and each bar, and every 30 s between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

from netspec.console.heartbeat import animates, heartbeat
from netspec.console.units import duration_text
from netspec.wire import Job
from search_client.progress.observer import Observer

#: least time between two points of a curve, s
POINT_S = 0.1


class Advance(Protocol):
    """Sets a bar."""

    def __call__(self, done: int, total: int, remark: str = "") -> None:
        """So much of the total is done; the remark stands below the bars."""


def job_progress(advance: Advance) -> Callable[[Job], None]:
    """What sets a bar to the visits of a job."""

    def show(job: Job) -> None:
        waiting = "waiting for an agent (device-agent run)" if job.state == "queued" else ""
        if job.unserved:
            waiting = f"no device serves target {job.unserved[0]} (device-agent run)"
        advance(job.visits_done, job.visits, waiting)

    return show


class _Bars(Progress):
    """Bars, and below them what the last one says: beside them there is no room on 80 columns."""

    remark = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.remark:
            yield Text(f"    {self.remark}", style="dim")


class Stages:
    """Names, draws and times the stages of a run, and tells its curves."""

    def __init__(
        self,
        console: Console | None = None,
        *,
        quiet: bool = False,
        observers: Sequence[Observer] = (),
    ) -> None:
        """Show on a console, by default on stderr.

        Args:
            console: where to.
            quiet: show nothing: of several processes one is enough.
            observers: are told the curves.
        """
        self.observers = observers
        #: when a point of each part was told, by the monotonic clock
        self._told_at: dict[str, float] = {}
        self.console = Console(quiet=True) if quiet else console or Console(stderr=True)
        self._animated = animates(self.console)
        #: wall time in s by stage, in order
        self.seconds: dict[str, float] = {}
        #: in a log, what each bar that runs says of itself; None: nobody tells it every 30 s yet
        self._lines: dict[str, str] | None = None

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """A stage of the run; time in stages of the same name adds up."""
        self._print(what, style="bold")
        started = time.monotonic()
        outcome = "stopped after"
        try:
            with self._told(what):
                yield
            outcome = "done in"
        finally:
            spent = time.monotonic() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 1)
            if not self._animated:
                self.note(f"{outcome} {duration_text(spent)}")

    @contextmanager
    def bars(self, *labels: str) -> Iterator[dict[str, Advance]]:
        """Progress bars by label, which stay when they are full."""
        draw = self._drawn_bars if self._animated else self._written_bars
        with draw(labels) as bars:
            yield bars

    @contextmanager
    def bar(self, label: str) -> Iterator[Advance]:
        """One progress bar."""
        with self.bars(label) as bars:
            yield bars[label]

    def observe(
        self, part: str, step: int, values: Mapping[str, float], *, now: bool = False
    ) -> None:
        """Tell the observers a point, as `Observer` says; one too soon after another is left out.

        Args:
            part: of the run.
            step: of the part.
            values: by name.
            now: tell it all the same.
        """
        since = time.monotonic() - self._told_at.get(part, float("-inf"))
        if not self.observers or (since < POINT_S and not now):
            return
        self._told_at[part] = time.monotonic()
        for observer in self.observers:
            observer(part, step, values)

    def note(self, text: str) -> None:
        """A line under the stage's heading."""
        self._print(f"  {text}")

    def _print(self, text: str, style: str | None = None) -> None:
        # soft_wrap: in a log, one line stays one line
        self.console.print(
            text, style=style, highlight=False, markup=False, soft_wrap=not self._animated
        )

    @contextmanager
    def _drawn_bars(self, labels: Iterable[str]) -> Iterator[dict[str, Advance]]:
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
    def _written_bars(self, labels: Iterable[str]) -> Iterator[dict[str, Advance]]:
        full: dict[str, bool] = {}
        with self._told(" and ".join(labels)) as running:

            def advance(label: str, done: int, total: int, remark: str = "") -> None:
                line = f"{label}: {done} of {total}" + (f", {remark}" if remark else "")
                # A bar is written when it begins and when it is full, however often it is set.
                if label not in full or (done >= total and not full[label]):
                    self.note(line)
                full[label] = done >= total
                running[label] = line
                if full[label]:
                    del running[label]

            try:
                yield {label: partial(advance, label) for label in labels}
            finally:
                for line in filter(None, [running.pop(label, "") for label in full]):
                    self.note(line)

    @contextmanager
    def _told(self, what: str) -> Iterator[dict[str, str]]:
        """Say every 30 s how far the bars are, or that there is work; gives the bars' lines."""
        if self._animated or self._lines is not None:
            yield {} if self._lines is None else self._lines
            return
        started = time.monotonic()
        lines = self._lines = {}

        def tell() -> None:
            spent = duration_text(time.monotonic() - started)
            for line in tuple(lines.values()) or (what,):
                self.note(f"{line}, {spent}")

        try:
            with heartbeat(tell):
                yield lines
        finally:
            self._lines = None
