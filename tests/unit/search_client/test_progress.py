import io
import time

import pytest
from rich.console import Console

from search_client.progress import Stages


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def stages(screen: io.StringIO) -> Stages:
    return Stages(Console(file=screen, width=200))


def test_time_of_stages_with_one_name_adds_up_in_order(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.5, 10.0, 10.25, 20.0, 22.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    for name in ("train", "export", "train"):
        with stages.stage(name, name):
            pass
    assert stages.seconds == {"train": 3.5, "export": 0.2}
    assert list(stages.seconds) == ["train", "export"]


def test_a_stage_that_fails_is_timed_and_fails(stages: Stages) -> None:
    def fail() -> None:
        with stages.stage("train", "Train"):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert "train" in stages.seconds


@pytest.mark.parametrize("text", ["plain", "runs/[demo]/data", "[/] closes nothing"])
def test_names_are_shown_as_they_are(stages: Stages, screen: io.StringIO, text: str) -> None:
    with stages.stage("data", f"Read {text}"):
        stages.note(f"found {text}")
        with stages.bar(f"images {text}") as advance:
            advance(1, 1, f"remark {text}")
    shown = screen.getvalue()
    for line in (f"Read {text}", f"  found {text}", f"images {text}", f"remark {text}"):
        assert line in shown


def test_bars_show_how_far_each_is(stages: Stages, screen: io.StringIO) -> None:
    with stages.bars("warm-up", "joint") as bars:
        bars["warm-up"](3, 3)
        bars["joint"](2, 8, "loss 1.5")
    shown = screen.getvalue().splitlines()
    assert any("warm-up" in line and "3/3" in line for line in shown)
    assert any("joint" in line and "2/8" in line and "loss 1.5" in line for line in shown)
