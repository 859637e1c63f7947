"""A search as a stage of a run: taken up again, or begun anew in the same folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from netspec.errors import UserError
from search_client.latency.losses import LogRatio
from search_client.progress import Stages
from search_client.recipe import Recipe
from search_client.runs.load import CHECKPOINT, read_run
from search_client.runs.record import BadRun, read_record
from search_client.search.candidates import Candidate
from search_client.search.scoring import Scorer
from search_client.stages.latency_tables import recorded
from search_client.stages.search import run_search
from search_client.training.checkpoints import BadCheckpoint, Stopped
from search_client.training.loop import TrainConfig
from search_client.training.step import NotFinite
from tests.unit.search_client import tiny_run
from tests.unit.search_client.tiny import tiny_images, tiny_space
from tests.unit.search_client.tiny_run import SETTINGS, changed, tiny_search, tiny_table


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a search that was sent SIGTERM in the middle."""
    monkeypatch.setattr("search_client.search.progress.REPORT_S", 0.0)

    def stop(_part: str, step: int, _values: Mapping[str, float]) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="SIGTERM"):
        tiny_search(tmp_path / "stopped", observers=[stop])
    return tmp_path / "stopped"


def test_a_search_that_was_sent_sigterm_ends_as_if_it_had_not_been(
    stopped: Path, tmp_path: Path
) -> None:
    began = read_record(stopped)
    assert began.found is None
    again = tiny_search(stopped, resume=True)
    whole = tiny_search(tmp_path / "whole")
    assert again == whole
    record = read_record(stopped)
    assert record.started_at == began.started_at
    assert record.found == read_record(tmp_path / "whole").found
    one, other = (read_run(folder).family.state_dict() for folder in (stopped, tmp_path / "whole"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_search_goes_on_with_the_tables_and_references_that_it_began_with(stopped: Path) -> None:
    tables = recorded(stopped, SETTINGS.searched_operators())
    assert [table.snapshot for table in tables.by_target] == [tiny_table().snapshot]
    assert tables.references_ms == (10.0,)
    with pytest.raises(BadRun, match=r"targets was .*1d1d.* and is .*2d2d"):
        tiny_search(stopped, tables=[tiny_table(scale=2.0)], resume=True)


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
        tiny_search(stopped, changed(**values), resume=True)
    assert (stopped / "run.json").read_bytes() == before


def test_what_the_steps_do_not_depend_on_may_change(stopped: Path) -> None:
    train = TrainConfig(epochs=7)
    tiny_search(stopped, changed(workers=1, train=train, checkpoint_minutes=3.0), resume=True)
    assert read_record(stopped).settings.train == train


def test_a_new_search_leaves_nothing_of_the_former_to_go_on_with(stopped: Path) -> None:
    def fail(_part: str, _step: int, _values: Mapping[str, float]) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        tiny_search(stopped, observers=[fail])
    assert not (stopped / CHECKPOINT).exists()
    with pytest.raises(BadCheckpoint, match="there is no checkpoint"):
        tiny_search(stopped, resume=True)


def test_a_search_that_cannot_begin_leaves_the_former_as_it_was(stopped: Path) -> None:
    before = {path.name: path.read_bytes() for path in stopped.iterdir()}
    search = SETTINGS.search.model_copy(update={"latency_loss": LogRatio()})
    low = tiny_table(scale=0.01)
    with pytest.raises(UserError, match="choose the loss target"):
        tiny_search(stopped, changed(search=search), [low])
    assert {path.name: path.read_bytes() for path in stopped.iterdir()} == before


def test_a_table_without_calibration_is_searched_by_plain_sums(tmp_path: Path) -> None:
    table = tiny_table(scale=None)
    found = tiny_search(tmp_path, tables=[table]).found
    network = found.network
    assert found.latency_ms[0] == pytest.approx(sum(table.values_ms(network.operators)))
    (target,) = read_record(tmp_path).targets
    assert not target.calibrated
    assert read_run(tmp_path).derive().choices == found.choices


def test_blocks_on_tiny_maps_are_warned_of(tmp_path: Path) -> None:
    spoken = StringIO()
    stages = Stages(Console(file=spoken, width=400))
    small = changed(space={**tiny_space().model_dump(), "input_size": 8})
    run_search(small, [tiny_table(small)], [10.0], tiny_images(48), tmp_path, stages, data=tmp_path)
    assert "at 8 px 1 of 2 blocks keeps maps below 4 px" in spoken.getvalue()


def test_a_search_with_shared_weights_ends_on_target_and_is_read_again(tmp_path: Path) -> None:
    shared = changed(
        search={**SETTINGS.search.model_dump(), "weights": "shared"}, widths=(0.25, 0.5)
    )
    result = tiny_search(tmp_path, shared)
    loaded = read_run(tmp_path)
    assert loaded.family.shared is not None
    assert loaded.derive().choices == result.choices


def _scoring(method: str, **values: object) -> Recipe:
    search = {"method": method, "weights": "shared", "sampling": "on_target", "evaluations": 60}
    return changed(
        search={**SETTINGS.search.model_dump(), **search, "scoring_images": 8, **values},
        held_out=0.4,
    )


@pytest.mark.parametrize("method", ["evolution", "random"])
def test_a_search_by_scores_ends_with_the_best_of_its_networks(tmp_path: Path, method: str) -> None:
    result = tiny_search(tmp_path, _scoring(method))
    state = torch.load(tmp_path / CHECKPOINT)
    best = max(score for _, _, score in state["scores"])
    assert best == next(score for _, choices, score in state["scores"] if choices == result.choices)
    assert result.found.latency_ms[0] == pytest.approx(10.0, rel=0.05)
    assert not result.history.architecture_steps
    # All later stages read the decision where they read that of a gradient.
    assert read_run(tmp_path).derive().choices == result.choices
    record = read_record(tmp_path)
    assert record.found is not None
    assert list(record.found.choices) == result.choices


def test_a_search_that_is_stopped_while_it_scores_does_not_score_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _scoring("random")
    whole = tiny_search(tmp_path / "whole", settings)
    looked: list[int] = []
    accuracy = Scorer.accuracy

    def stop_at_the_third(scorer: Scorer, candidate: Candidate) -> float:
        found = accuracy(scorer, candidate)
        looked.append(scorer.evaluations)
        if scorer.evaluations == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "accuracy", stop_at_the_third)
        with pytest.raises(Stopped):
            tiny_search(tmp_path / "stopped", settings)
    scored = torch.load(tmp_path / "stopped" / CHECKPOINT)["scores"]
    assert len(scored) == 3
    monkeypatch.setattr(Scorer, "accuracy", stop_at_the_third)
    monkeypatch.setattr(os, "kill", lambda _pid, _signal: None)
    looked.clear()
    resumed = tiny_search(tmp_path / "stopped", settings, resume=True)
    assert resumed.choices == whole.choices
    # The first networks are known.
    assert looked[:3] == [0, 0, 0]


def test_a_search_that_diverges_ends_at_once_with_a_sentence(tmp_path: Path) -> None:
    hot = changed(search={**SETTINGS.search.model_dump(), "warmup_learning_rate": 1e30})
    with pytest.raises(NotFinite, match=r"diverged: after 2 .* lower search.warmup_learning_rate"):
        tiny_search(tmp_path, hot)
    assert not (tmp_path / CHECKPOINT).exists()
    assert read_record(tmp_path).found is None


def test_a_search_without_an_architecture_step_is_refused(tmp_path: Path) -> None:
    idle = changed(search={**SETTINGS.search.model_dump(), "joint_epochs": 1})
    with pytest.raises(UserError, match="without one architecture step: 1 joint epochs of 2 "):
        tiny_search(tmp_path, idle)


def test_other_images_are_not_gone_on_with(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (stopped / "run.json").read_bytes()
    assert read_record(stopped).fingerprint == tiny_images(48).fingerprint()
    with monkeypatch.context() as patch:
        # As many of them, of the same classes.
        patch.setattr(tiny_run, "tiny_images", partial(tiny_images, seed=1))
        with pytest.raises(BadCheckpoint, match="a run on other images"):
            tiny_search(stopped, resume=True)
    assert (stopped / "run.json").read_bytes() == before
    tiny_search(stopped, resume=True)


def test_the_record_says_how_clear_the_gradient_was(tmp_path: Path) -> None:
    said = StringIO()
    result = tiny_search(tmp_path, console=Console(file=said, width=500))
    record = read_record(tmp_path)
    assert record.gradient_snr == result.history.epochs[-1].gradient_snr
    assert record.gradient_snr is not None
    assert f"a signal to noise of {record.gradient_snr:.2g} a step" in said.getvalue()
    assert (record.unreadable, record.went_back) == ((), ())


def test_training_the_largest_network_first_needs_shared_weights(tmp_path: Path) -> None:
    values = {**SETTINGS.search.model_dump(), "largest_epochs": 1}
    with pytest.raises(UserError, match=r"set it to 0, or search\.weights to shared"):
        tiny_search(tmp_path / "separate", changed(search=values))
    tiny_search(tmp_path / "shared", changed(search={**values, "weights": "shared"}))


@pytest.mark.parametrize("gradient", ["two", "full_v2", "reinforce"])
def test_every_gradient_searches_shared_weights(tmp_path: Path, gradient: str) -> None:
    values = {**SETTINGS.search.model_dump(), "weights": "shared", "gradient": gradient}
    settings = changed(search={**values, "architecture_batches": 2}, sizes=(16, 24))
    result = tiny_search(tmp_path, settings)
    assert len(result.history.architecture_steps) == 2
    assert result.found.latency_ms[0] == pytest.approx(10.0, rel=0.05)
