"""Checkpoints: written whole or not at all, each N minutes and when the process is to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch

from netspec.errors import Interrupted, UserError
from search_client.training import distributed

#: what a checkpoint holds: tensors, numbers, texts, and lists and dictionaries of these
State = dict[str, Any]


class Stopped(Interrupted):
    """The process was asked to end, and its state is saved."""


class BadCheckpoint(UserError):
    """A checkpoint cannot be read, or is another run's."""

    @classmethod
    def saved_by(cls, another: str, give: str = "the same") -> Self:
        """It is another run's: whose, and what to give in order to go on with it."""
        return cls(f"the checkpoint was saved by {another}; give {give}, or start without --resume")


def save(state: State, path: Path) -> None:
    """Writes a checkpoint, by a rename: a crash leaves the former one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    torch.save(state, unfinished)
    unfinished.replace(path)


def load(path: Path) -> State:
    """Reads a checkpoint onto the CPU.

    Raises:
        BadCheckpoint: there is none, or it cannot be read.
    """
    if not path.is_file():
        raise BadCheckpoint(f"there is no checkpoint {path}; start without --resume")
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch.load raises what the damage makes it raise: zip, pickle, runtime errors
        raise BadCheckpoint(
            f"{path} is no checkpoint that can be read ({type(error).__name__}); "
            "delete it and start without --resume"
        ) from error
    return state


class Checkpoints:
    """Saves a run's state at its steps: every so often, and before it ends on a signal.

    All processes of a run must ask at the same steps; the first one writes.
    """

    def __init__(
        self,
        path: Path | None,
        every_minutes: float = 10.0,
        *,
        signals: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a path nothing is saved; without `signals` they end the process as always."""
        self.path = path
        self.signals = signals
        self._every_s = 60 * every_minutes
        self._clock = clock
        self._saved = clock()
        self._signal: str | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Turns SIGTERM and SIGINT into a save at the next step and `Stopped`."""
        if self.path is None or not self.signals:
            yield
            return
        before = {
            number: signal.signal(number, self._remember)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if self._signal is not None:
            # Asked twice: end at once.
            raise KeyboardInterrupt
        self._signal = signal.Signals(number).name

    def step(self, state: Callable[[], State]) -> None:
        """Saves if it is time to.

        Args:
            state: makes what is saved.

        Raises:
            Stopped: the process was asked to end; the state is saved.
        """
        if self.path is None:
            return
        stop = distributed.any_process(self._signal is not None)
        due = distributed.any_process(self._clock() - self._saved >= self._every_s)
        if stop or due:
            self.save(state())
        if stop:
            raise Stopped(
                f"stopped by {self._signal or 'another process'}; everything so far is in "
                f"{self.path}: the same command with --resume goes on from there"
            )

    def save(self, state: State) -> None:
        """Saves now."""
        if self.path is not None and distributed.rank() == 0:
            save(state, self.path)
        self._saved = self._clock()
