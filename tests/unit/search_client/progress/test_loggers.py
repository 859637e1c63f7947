"""What programs that keep curves are told; TensorBoard reads it back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from netspec.errors import UserError
from search_client.progress import ObservedRun
from search_client.progress.loggers import Logger, observers_of
from search_client.progress.mlflow import flat

SETTINGS = {"seed": 3, "search": {"latency_loss": {"kind": "target"}, "sizes": [96, 128]}}
PARAMS = {"seed": "3", "search.latency_loss.kind": "target", "search.sizes": "[96, 128]"}
PART = "train/mine-96-0.5"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObservedRun:
    monkeypatch.chdir(tmp_path)
    return ObservedRun(tmp_path / "mine", "train", SETTINGS)


def test_settings_are_named_as_on_the_command_line() -> None:
    assert flat(SETTINGS) == PARAMS


@pytest.mark.parametrize("logger", Logger)
def test_a_package_that_is_absent_is_a_sentence(
    logger: Logger, run: ObservedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, logger, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(UserError, match=f"--log {logger} needs .* extra `{logger}`"):
        observers_of([logger], run).__enter__()


def test_tensorboard_reads_the_curves(run: ObservedRun) -> None:
    with observers_of([Logger.TENSORBOARD, Logger.TENSORBOARD], run) as (observe,):
        observe("search", 7, {"loss": 2.5})
        observe(PART, 1, {"loss": 2.0, "accuracy": 0.25})
        observe(PART, 2, {"loss": 1.0, "accuracy": 0.5})
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"search/loss", f"{PART}/loss", f"{PART}/accuracy"}
    assert [(one.step, one.value) for one in events.Scalars(f"{PART}/loss")] == [(1, 2), (2, 1)]
    (settings,) = events.Tensors("train/settings/text_summary")
    assert b'"kind": "target"' in settings.tensor_proto.string_val[0]
