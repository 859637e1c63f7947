"""The programs that can keep the curves of a run, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from enum import StrEnum

from search_client.progress.mlflow import mlflow_run
from search_client.progress.observer import ObservedRun, Observer
from search_client.progress.tensorboard import tensorboard_curves
from search_client.progress.wandb import wandb_run


class Logger(StrEnum):
    """A program that keeps the curves of runs."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    WANDB = "wandb"


_OPEN: dict[Logger, Callable[[ObservedRun], AbstractContextManager[Observer]]] = {
    Logger.TENSORBOARD: tensorboard_curves,
    Logger.MLFLOW: mlflow_run,
    Logger.WANDB: wandb_run,
}


@contextmanager
def observers_of(loggers: Sequence[Logger], run: ObservedRun) -> Iterator[tuple[Observer, ...]]:
    """Open a run in each of the programs, and close it with its outcome.

    Raises:
        UserError: a program's package is not installed, or it refuses the run.
    """
    with ExitStack() as opened:
        yield tuple(opened.enter_context(_OPEN[one](run)) for one in dict.fromkeys(loggers))
