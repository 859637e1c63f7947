"""Words from a command that works without a terminal, so that a log shows it is alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from netspec.console.units import duration_text

#: seconds between two lines
BEAT_S = 30.0
#: a command that is done sooner (s) needs to say nothing
SILENT_S = 2.0


def animates(console: Console) -> bool:
    """Whether a console redraws lines: dumb terminals (`TERM=dumb`) show none of what is drawn."""
    return (console.is_terminal and not console.is_dumb_terminal) or console.is_jupyter


@contextmanager
def heartbeat(
    beat: Callable[[], None], every_s: float = BEAT_S, first_s: float | None = None
) -> Iterator[None]:
    """Call a function from another thread now and then while the block runs.

    Args:
        beat: is called; not after the block's end.
        every_s: seconds between two calls.
        first_s: seconds until the first one; None: `every_s`.
    """
    over = threading.Event()

    def run() -> None:
        pause_s = every_s if first_s is None else first_s
        while not over.wait(pause_s):
            beat()
            pause_s = every_s

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def working(what: str, console: Console | None = None) -> Iterator[None]:
    """Say on stderr what a command works on: a spinner on a terminal, else lines in a log.

    A log gets its first line after 2 s, then one every 30 s and one at the end; what is done
    sooner is not spoken of.
    """
    console = console or Console(stderr=True)
    if animates(console):
        with console.status(what):
            yield
        return
    started, spoken = time.monotonic(), threading.Event()

    def say(state: str) -> None:
        spent = duration_text(time.monotonic() - started)
        console.print(f"{what}: {state} {spent}", soft_wrap=True, highlight=False, markup=False)
        spoken.set()

    outcome = "stopped after"
    try:
        with heartbeat(lambda: say("working for"), first_s=SILENT_S):
            yield
        outcome = "done in"
    finally:
        if spoken.is_set():
            say(outcome)
