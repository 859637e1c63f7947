"""A search as a stage of a run: taken up again, or begun anew in the same folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from rich.console import Console

from netspec.client import LatencyTable
from netspec.errors import UserError
from search_client.checkpoints import BadCheckpoint, Stopped
from search_client.history import SearchStep
from search_client.losses import LogRatio, Target
from search_client.prices import recorded
from search_client.progress import Stages
from search_client.run_record import BadRun, read_record
from search_client.runs import CHECKPOINT, read_run
from search_client.search import SearchResult
from search_client.search_config import SearchConfig
from search_client.searching import Observer, run_search
from search_client.settings import Settings
from search_client.train import TrainConfig
from tests.unit.search_client.tables import calibration, snapshot
from tests.unit.search_client.tiny import tiny_images, tiny_space

STAGES = Stages(Console(quiet=True))
SETTINGS = Settings(
    batch_size=16,
    held_out=0.3,
    search=SearchConfig(
        latency_loss=Target(),
        gradient="full",
        warmup_epochs=1,
        joint_epochs=3,
        weight_steps_per_architecture_step=1,
        architecture_learning_rate=0.1,
        tolerance=0.05,
    ),
).model_copy(update={"space": tiny_space()})


def _table(scale: float | None = 1.0) -> LatencyTable:
    operators = SETTINGS.searched_operators()
    values = {one: 1.0 + getattr(one, "kernel", 1) / 10 for one in operators}
    fitted = [] if scale is None else [calibration("int8", scale)]
    made = snapshot(values, fitted)
    return LatencyTable(made.model_copy(update={"id": f"{int(scale or 9)}d" * 32}))


def _search(
    folder: Path,
    settings: Settings = SETTINGS,
    table: LatencyTable | None = None,
    *,
    resume: bool = False,
    observer: Observer = lambda _: None,
) -> SearchResult:
    return run_search(
        settings,
        [table or _table()],
        [6.0],
        tiny_images(48),
        folder,
        STAGES,
        data=Path("d"),
        resume=resume,
        observers=[observer],
    )


def _changed(**values: object) -> Settings:
    return Settings.model_validate({**SETTINGS.model_dump(), **values})


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a search that was sent SIGTERM in the middle."""
    monkeypatch.setattr("search_client.search_reports.REPORT_S", 0.0)

    def stop(step: SearchStep) -> None:
        if step.weight_steps == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="SIGTERM"):
        _search(tmp_path / "stopped", observer=stop)
    return tmp_path / "stopped"


def test_a_search_that_was_sent_sigterm_ends_as_if_it_had_not_been(
    stopped: Path, tmp_path: Path
) -> None:
    began = read_record(stopped)
    assert began.found is None
    again = _search(stopped, resume=True)
    whole = _search(tmp_path / "whole")
    assert again == whole
    record = read_record(stopped)
    assert record.started_at == began.started_at
    assert record.found == read_record(tmp_path / "whole").found
    one, other = (read_run(folder).family.state_dict() for folder in (stopped, tmp_path / "whole"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_search_goes_on_with_the_tables_and_references_that_it_began_with(stopped: Path) -> None:
    prices = recorded(stopped, SETTINGS.searched_operators())
    assert [table.snapshot for table in prices.tables] == [_table().snapshot]
    assert prices.references_ms == (6.0,)
    with pytest.raises(BadRun, match=r"targets was .*1d1d.* and is .*2d2d"):
        _search(stopped, table=_table(2.0), resume=True)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"batch_size": 8}, "batch_size was 16 and is 8"),
        ({"seed": 3, "held_out": 0.5}, "held_out was 0.3 and is 0.5; seed was 0 and is 3"),
        ({"sizes": (16, 24)}, r"sizes was \[\] and is \[16, 24\]"),
    ],
)
def test_other_settings_are_named_and_refused(
    stopped: Path, values: dict[str, object], says: str
) -> None:
    before = (stopped / "run.json").read_bytes()
    with pytest.raises(BadRun, match=says):
        _search(stopped, _changed(**values), resume=True)
    assert (stopped / "run.json").read_bytes() == before


def test_what_the_steps_do_not_depend_on_may_change(stopped: Path) -> None:
    train = TrainConfig(epochs=7)
    _search(stopped, _changed(workers=1, train=train, checkpoint_minutes=3.0), resume=True)
    assert read_record(stopped).settings.train == train


def test_a_new_search_leaves_nothing_of_the_former_to_go_on_with(stopped: Path) -> None:
    def fail(_: SearchStep) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        _search(stopped, observer=fail)
    assert not (stopped / CHECKPOINT).exists()
    with pytest.raises(BadCheckpoint, match="there is no checkpoint"):
        _search(stopped, resume=True)


def test_a_search_that_cannot_begin_leaves_the_former_as_it_was(stopped: Path) -> None:
    before = {path.name: path.read_bytes() for path in stopped.iterdir()}
    search = SETTINGS.search.model_copy(update={"latency_loss": LogRatio()})
    low = _table(0.01)
    with pytest.raises(UserError, match="choose the loss target"):
        _search(stopped, _changed(search=search), low)
    assert {path.name: path.read_bytes() for path in stopped.iterdir()} == before


def test_a_table_without_calibration_is_searched_by_plain_sums(tmp_path: Path) -> None:
    table = _table(None)
    found = _search(tmp_path, table=table).found
    network = found.network
    assert found.latency_ms[0] == pytest.approx(sum(table.values_ms(network.operators)))
    (target,) = read_record(tmp_path).targets
    assert not target.calibrated
    assert read_run(tmp_path).derive().choices == found.choices
