"""MLflow, by its client: in the store of `MLFLOW_TRACKING_URI`, else where MLflow itself would."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from netspec.console.extras import needs_extra
from netspec.errors import UserError
from search_client.progress.observer import ObservedRun, Observer

EXPERIMENT = "proxyless-farm"
_EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
#: what a server takes in one request. Source: MLflow's REST API, Log Batch.
_PARAMS_AT_ONCE = 100


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return settings by dotted names, as `--set` takes them; lists as JSON."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return found


@contextmanager
def mlflow_run(run: ObservedRun) -> Iterator[Observer]:
    """Make a run with the settings as parameters, and end it as finished or failed.

    Raises:
        UserError: MLflow is not installed, or its store or server refuses the run.
    """
    # Its reports on who uses it were not asked for.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with needs_extra("mlflow", "--log mlflow"):
        from mlflow import MlflowClient  # noqa: PLC0415 - an optional package
        from mlflow.entities import Metric, Param  # noqa: PLC0415
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

    @contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except MlflowException as error:
            raise UserError(
                f"MLflow refuses the run: {error}; see MLFLOW_TRACKING_URI, or go on without "
                "--log mlflow"
            ) from error

    with told(), needs_extra("mlflow", "MLflow's store"):
        client = MlflowClient()
        name = os.environ.get(_EXPERIMENT_VARIABLE, EXPERIMENT)
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        folder = run.folder.resolve()
        tags = {"folder": str(folder), "command": run.command}
        made = client.create_run(experiment, run_name=f"{folder.name} {run.command}", tags=tags)
        run_id = made.info.run_id
        params = [Param(name, value) for name, value in flat(run.settings).items()]
        for first in range(0, len(params), _PARAMS_AT_ONCE):
            client.log_batch(run_id, params=params[first : first + _PARAMS_AT_ONCE])

    def write(part: str, step: int, values: Mapping[str, float]) -> None:
        now_ms = int(1000 * time.time())
        metrics = [Metric(f"{part}/{name}", value, now_ms, step) for name, value in values.items()]
        with told():
            client.log_batch(run_id, metrics=metrics)

    outcome = "FAILED"
    try:
        yield write
        outcome = "FINISHED"
    finally:
        with told():
            client.set_terminated(run_id, outcome)
