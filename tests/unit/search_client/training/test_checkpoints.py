import os
import signal
from pathlib import Path

import pytest
import torch

from search_client.training.checkpoints import (
    BadCheckpoint,
    Checkpoints,
    State,
    Stopped,
    load,
    save,
)


def _state() -> State:
    return {"a": torch.arange(3), "b": [1, 2.5, None], "c": "text"}


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    save(_state(), tmp_path / "deep" / "a.pt")
    state = load(tmp_path / "deep" / "a.pt")
    assert torch.equal(state["a"], torch.arange(3))
    assert (state["b"], state["c"]) == ([1, 2.5, None], "text")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.pt"]


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match="start without --resume"):
        load(path)


def test_a_checkpoint_is_due_each_n_minutes(tmp_path: Path) -> None:
    now = 0.0
    checkpoints = Checkpoints(tmp_path / "a.pt", every_minutes=2.0, clock=lambda: now)
    asked = []

    def state() -> State:
        asked.append(now)
        return _state()

    for now in (60.0, 119.0, 121.0, 200.0, 242.0):  # noqa: B007 - the clock reads it
        checkpoints.step(state)
    assert asked == [121.0, 242.0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_the_next_step_and_stops(tmp_path: Path, number: signal.Signals) -> None:
    checkpoints = Checkpoints(tmp_path / "a.pt")
    before = signal.getsignal(number)
    with checkpoints.watching():
        checkpoints.step(_state)
        assert not (tmp_path / "a.pt").exists()
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped, match=f"stopped by {number.name}.*--resume goes on"):
            checkpoints.step(_state)
    assert load(tmp_path / "a.pt")["c"] == "text"
    assert signal.getsignal(number) is before


def test_without_a_path_nothing_is_saved_or_caught() -> None:
    checkpoints = Checkpoints(None)
    before = signal.getsignal(signal.SIGTERM)
    with checkpoints.watching():
        assert signal.getsignal(signal.SIGTERM) is before
        checkpoints.step(_state)
        checkpoints.save(_state())


def test_a_checkpoint_is_of_its_images(tmp_path: Path) -> None:
    path, told = tmp_path / "a.pt", list[str]()
    Checkpoints(path, data="pixels 12").save({"epoch": 3})
    assert Checkpoints(None).resumed(told.append) is None
    state = Checkpoints(path, data="pixels 12").resumed(told.append)
    assert state is not None
    assert state["epoch"] == 3
    with pytest.raises(BadCheckpoint, match="a run on other images; give the same --data"):
        Checkpoints(path, data="pixels 13").resumed(told.append)
    assert told == []
    Checkpoints(path, data="files 12").resumed(told.append)
    assert "was not compared: memory_gb" in told[0]


def test_another_torch_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, told = tmp_path / "a.pt", list[str]()
    with monkeypatch.context() as patch:
        patch.setattr("torch.__version__", "1.0.0")
        Checkpoints(path).save({"epoch": 3})
    Checkpoints(path).resumed(told.append)
    (warning,) = told
    assert warning.startswith(
        f"Warning: saved by torch 1.0.0, and goes on with {torch.__version__}:"
    )


def test_a_checkpoint_of_before_goes_on(tmp_path: Path) -> None:
    path, told = tmp_path / "a.pt", list[str]()
    save({"epoch": 3}, path)
    assert Checkpoints(path, data="pixels 12").resumed(told.append) == {"epoch": 3}
    assert told == []
