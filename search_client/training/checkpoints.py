"""Checkpoints: written whole or not at all, each N minutes and when the process is to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch
from torch import nn

from netspec.console.outputs import whole_file
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
    """Writes a checkpoint, whole or not at all.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # Over a write that failed torch's writer fails once more, and hides why.
            if isinstance(error.__context__, OSError):
                hidden = error.__context__
                raise OSError(hidden.errno, hidden.strerror, str(path)) from error
            raise


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


def state_hash(model: nn.Module) -> str:
    """SHA-256 (hex) of a model's parameters and statistics."""
    found = sha256()
    for name, value in model.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


class Checkpoints:
    """Saves a run's state at its steps: every so often, and before it ends on a signal.

    All processes of a run must ask at the same steps; the first one writes.
    """

    def __init__(
        self,
        path: Path | None,
        every_minutes: float = 10.0,
        *,
        data: str = "",
        signals: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a path nothing is saved; without `signals` they end the process as always.

        Args:
            path: of the file.
            every_minutes: between two saves.
            data: fingerprint of the images that the run trains on; only they go on with it.
            signals: whether SIGTERM and SIGINT save first.
            clock: seconds.
        """
        self.path = path
        self.data = data
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

    def resumed(self, tell: Callable[[str], None]) -> State | None:
        """Read what was saved, to go on with it; None without a path.

        Args:
            tell: hears what differs and does not matter but for bits: versions.

        Raises:
            BadCheckpoint: there is none, it cannot be read, or it is of other images.
        """
        if self.path is None:
            return None
        state = load(self.path)
        saved = state.get("data", "")
        # Images in memory are told by pixels, others by names and sizes.
        comparable = saved.partition(" ")[0] == self.data.partition(" ")[0]
        if comparable and saved != self.data:
            raise BadCheckpoint.saved_by("a run on other images", "the same --data")
        if saved and not comparable:
            tell("Whether the images are the same was not compared: memory_gb is another")
        before = state.get("torch_version", torch.__version__)
        if before != torch.__version__:
            tell(
                f"Warning: saved by torch {before}, and goes on with {torch.__version__}: not bit "
                "for bit what the former would have come to"
            )
        return state

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
            save({**state, "data": self.data, "torch_version": str(torch.__version__)}, self.path)
        self._saved = self._clock()
