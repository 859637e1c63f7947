"""What a run shows while it works: one heading a stage, one bar for everything over 2 s."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: sets a bar to (done, total, remark)
Advance = Callable[[int, int, str], None]


class Stages:
    """Names, draws and times the stages of a run."""

    def __init__(self, console: Console) -> None:
        self.console = console
        #: wall time in s by stage, in order
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """A stage of the run; time in stages of the same name adds up."""
        self.console.print(f"[bold]{what}[/]")
        started = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 1)

    @contextmanager
    def bar(self, label: str) -> Iterator[Advance]:
        """A progress bar, which stays when it is full."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}", style="dim"),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(f"  {label}", total=None, remark="")

            def advance(done: int, total: int, remark: str = "") -> None:
                progress.update(task, completed=done, total=total, remark=remark)

            yield advance

    def note(self, text: str) -> None:
        """A line under the stage's heading."""
        self.console.print(f"  {text}", highlight=False)
