import io
import time

import pytest
from rich.console import Console

from search_client.progress import Stages
from search_client.search.history import SearchStep
from search_client.stages.search import _remark


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


def test_bars_show_how_far_each_is_and_what_the_last_says_below(
    stages: Stages, screen: io.StringIO
) -> None:
    with stages.bars("warm-up", "joint") as bars:
        bars["warm-up"](3, 3, "loss 2.5")
        bars["joint"](2, 8, "loss 1.5")
    first, second, remark = screen.getvalue().splitlines()
    assert "warm-up" in first
    assert "3/3" in first
    assert "joint" in second
    assert "2/8" in second
    assert remark == "    loss 1.5"


def test_a_long_search_is_told_in_full_on_80_columns(screen: io.StringIO) -> None:
    step = SearchStep("joint", 123_456, 600_000, 323_456, 2.515, 0.212, 27.1, 30.0, 1.79, 1507)
    with Stages(Console(file=screen, width=80)).bars("warm-up", "joint") as bars:
        bars["warm-up"](200_000, 200_000)
        bars["joint"](step.done, step.total, _remark(step))
    assert all(len(line.rstrip()) <= 80 for line in screen.getvalue().splitlines())
    shown = " ".join(screen.getvalue().split())
    assert "joint ━" in shown
    assert "123456/600000 0:00:00" in shown
    for part in ("loss 2.52", "top-1 21.2%", "E[LAT] 27.10 of 30.00 ms", "entropy 1.79"):
        assert part in shown
    assert "1507 images/s" in shown
