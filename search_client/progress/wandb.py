"""Weights & Biases: offline, unless `WANDB_MODE` says otherwise; `wandb sync` uploads later."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from netspec.console.extras import needs_extra
from search_client.progress.observer import ObservedRun, Observer

PROJECT = "proxyless-farm"


@contextmanager
def wandb_run(run: ObservedRun) -> Iterator[Observer]:
    """Make a run with the settings as its config, in the group of the run's folder.

    Raises:
        UserError: wandb is not installed.
    """
    with needs_extra("wandb", "--log wandb"):
        import wandb  # noqa: PLC0415 - an optional package

    folder = run.folder.resolve()
    logged = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        group=folder.name,
        job_type=run.command,
        name=f"{folder.name} {run.command}",
        config=dict(run.settings),
        mode=os.environ.get("WANDB_MODE", "offline"),
        settings=wandb.Settings(silent=True, console="off"),
    )
    parts: set[str] = set()

    def write(part: str, step: int, values: Mapping[str, float]) -> None:
        counter = f"{part}/step"
        if part not in parts:
            # Each part counts its own steps, and W&B has one counter for all.
            logged.define_metric(counter, hidden=True)
            logged.define_metric(f"{part}/*", step_metric=counter)
            parts.add(part)
        logged.log({counter: step, **{f"{part}/{name}": value for name, value in values.items()}})

    # An exception makes it a failed run.
    with logged:
        yield write
