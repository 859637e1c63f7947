import io
import threading
import time

import pytest
from rich.console import Console

from netspec.console import heartbeat as module
from netspec.console.heartbeat import animates, heartbeat, working


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


def work(log: io.StringIO, until: str) -> None:
    """Works until the log has so much."""
    with working("import a table", Console(file=log)):
        for _ in range(1_000 if until != "never" else 5):
            if until in log.getvalue():
                return
            threading.Event().wait(0.01)
        raise TimeoutError(log.getvalue())


def test_it_beats_while_the_block_runs_and_not_after() -> None:
    beats, third = [], threading.Event()

    def beat() -> None:
        beats.append(threading.current_thread())
        if len(beats) == 3:
            third.set()

    with heartbeat(beat, every_s=0.01):
        assert third.wait(10)
    count = len(beats)
    threading.Event().wait(0.05)
    assert len(beats) == count
    assert threading.current_thread() not in beats


def test_the_first_beat_has_a_pause_of_its_own() -> None:
    first = threading.Event()
    with heartbeat(first.set, every_s=1_000, first_s=0.01):
        assert first.wait(10)


def test_a_log_hears_of_long_work_at_its_begin_between_and_at_its_end(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    work(log, until="working for")
    lines = log.getvalue().splitlines()
    assert lines[0].startswith("import a table: working for 0.")
    assert lines[-1].startswith("import a table: done in 0.")


def test_a_log_hears_that_long_work_failed(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    with pytest.raises(TimeoutError):
        work(log, until="never")
    assert log.getvalue().splitlines()[-1].startswith("import a table: stopped after")


def test_what_is_done_at_once_is_not_spoken_of(log: io.StringIO) -> None:
    work(log, until="")
    assert log.getvalue() == ""


def test_a_dumb_terminal_gets_the_lines_of_a_log(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console = Console(file=log, force_terminal=True)
    assert not animates(console)
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    with working("import a table", console):
        time.sleep(0.2)
    assert log.getvalue().startswith("import a table: working for")


def test_a_terminal_shows_what_is_done(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with working("import a table", Console(file=log, force_terminal=True)):
        pass
    assert "import a table" in log.getvalue()
    assert "done" not in log.getvalue()
