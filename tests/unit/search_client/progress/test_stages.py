import io
import time
from datetime import UTC, datetime

import pytest
from rich.console import Console

from netspec.wire import Job
from search_client.progress import Stages, job_progress
from search_client.progress import stages as progress
from search_client.search.history import SearchStep
from search_client.stages.search import _remark
from tests.beats import beats_by_hand


@pytest.fixture(autouse=True)
def _a_terminal_that_redraws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def stages(screen: io.StringIO) -> Stages:
    return Stages(Console(file=screen, width=200, force_terminal=True, color_system=None))


@pytest.fixture
def log(screen: io.StringIO) -> Stages:
    """Without a terminal."""
    return Stages(Console(file=screen, width=80))


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
    first, second, remark = screen.getvalue().rstrip("\x1b[?25h").splitlines()[-3:]
    assert "warm-up" in first
    assert "3/3" in first
    assert "joint" in second
    assert "2/8" in second
    assert remark.rstrip() == "    loss 1.5"


def test_a_long_search_is_told_in_full_on_80_columns(screen: io.StringIO) -> None:
    step = SearchStep("joint", 123_456, 600_000, 323_456, 2.515, 0.212, 27.1, 30.0, 1.79, 1507)
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    with Stages(console).bars("warm-up", "joint") as bars:
        bars["warm-up"](200_000, 200_000)
        bars["joint"](step.done, step.total, _remark(step))
    assert all(len(line.rstrip()) <= 80 for line in screen.getvalue().splitlines())
    shown = " ".join(screen.getvalue().split())
    assert "joint ━" in shown
    assert "123456/600000 0:00:00" in shown
    for part in ("loss 2.52", "top-1 21.2%", "E[LAT] 27.10 of 30.00 ms", "entropy 1.79"):
        assert part in shown
    assert "1507 images/s" in shown


def test_a_log_has_a_line_at_each_begin_and_end(log: Stages, screen: io.StringIO) -> None:
    with log.stage("train", "Train a network"), log.bar("training") as advance:
        for step in range(1, 5):
            advance(step, 4, f"loss {1 / step:.2f}")
        advance(4, 4, "loss 0.25")
    *lines, last = screen.getvalue().splitlines()
    assert lines == [
        "Train a network",
        "  training: 1 of 4, loss 1.00",
        "  training: 4 of 4, loss 0.25",
    ]
    assert last.startswith("  done in 0.")


def test_a_log_says_how_far_a_stage_came_that_failed(log: Stages, screen: io.StringIO) -> None:
    def fail() -> None:
        with log.stage("train", "Train"), log.bars("first", "second") as bars:
            bars["first"](1, 4)
            bars["first"](2, 4)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    lines = screen.getvalue().splitlines()
    assert lines[:3] == ["Train", "  first: 1 of 4", "  first: 2 of 4"]
    assert lines[3].startswith("  stopped after 0.")


def test_a_log_says_at_once_that_an_agent_is_waited_for(log: Stages, screen: io.StringIO) -> None:
    job = Job(
        id="job_1",
        name="operators",
        target_id="ab" * 8,
        state="queued",
        created_at=datetime.now(UTC),
        tasks=3,
        tasks_done=0,
        tasks_failed=0,
        reused=0,
        visits=9,
        visits_done=0,
        eta_s=None,
    )
    with log.bar("operators, visits") as advance:
        job_progress(advance)(job)
        assert screen.getvalue() == (
            "  operators, visits: 0 of 9, waiting for an agent (device-agent run)\n"
        )


def test_a_log_hears_every_30_s_of_every_bar_and_of_a_stage_without_one(
    log: Stages, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = beats_by_hand(monkeypatch, progress)
    with log.stage("search", "Search"):
        beats[0]()
        with log.bars("warm-up", "joint") as bars:
            bars["warm-up"](1, 2)
            bars["joint"](3, 8, "loss 2")
            beats[0]()
            bars["warm-up"](2, 2)
            beats[0]()
    assert len(beats) == 1, "nested stages and bars share one"
    beaten = [line for line in screen.getvalue().splitlines() if line.endswith(", 0.0 s")]
    assert [line.removesuffix(", 0.0 s") for line in beaten] == [
        "  Search",
        "  warm-up: 1 of 2",
        "  joint: 3 of 8, loss 2",
        "  joint: 3 of 8, loss 2",
    ]


def test_a_line_of_a_log_is_not_folded(log: Stages, screen: io.StringIO) -> None:
    log.note("word " * 40)
    assert len(screen.getvalue().splitlines()) == 1


def test_progress_is_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    stages = Stages()
    with stages.stage("data", "Read images"), stages.bar("images") as advance:
        advance(1, 1)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Read images" in shown.err
