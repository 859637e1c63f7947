"""The demo, stopped in the middle of profiling."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.commands import started, write_data, write_recipe
from tests.waiting import wait_for

#: visits of each operator: minutes of profiling
ROUNDS = 200
#: visits made before the demo is stopped
ENOUGH = 20

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


def number(path: Path, query: str) -> int:
    """One number out of an SQLite file that others write to."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        return int(database.execute(query).fetchone()[0])


def companions(data_dir: Path) -> list[int]:
    """Processes, this demo's children's children included, that keep their data in a folder."""
    wanted = f"PROFILER_DATA_DIR={data_dir}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or is somebody else's
            if wanted in environment:
                found.append(int(folder.name))
    return found


def stored(data_dir: Path) -> int:
    return number(data_dir / "profiler.db", "SELECT count(*) FROM visits")


def spooled_ever(data_dir: Path) -> int:
    """Visits that the agents of all demos have made."""
    made = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'visits'"
    # A spool that is being made has no tables yet.
    has_tables = "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'"
    spools = [path for path in data_dir.glob("spool-*.db") if number(path, has_tables)]
    return sum(number(path, made) for path in spools)


def stop_while_profiling(folder: Path, how: signal.Signals) -> tuple[int, str]:
    """Starts a demo, lets it make some visits, signals it alone; exit code and stderr."""
    data_dir = folder / "run" / "profiler"
    before = spooled_ever(data_dir)
    given: list[str | Path] = ["--data", folder / "data", "--run", folder / "run"]
    given += ["--recipe", folder / "long.toml"]
    with started("search-client", "demo", *given, log=folder / "demo.log") as demo:
        wait_for(lambda: spooled_ever(data_dir) >= before + ENOUGH or demo.poll() is not None)
        assert demo.poll() is None, (folder / "demo.log").read_text(encoding="utf-8")
        # server, agent, and the agent's process that forks the visits
        assert len(companions(data_dir)) >= 3
        demo.send_signal(how)
        _, said = demo.communicate(timeout=60)
        return demo.returncode, said


def test_a_stopped_demo_loses_no_visit_and_the_next_goes_on(tmp_path: Path) -> None:
    data_dir = tmp_path / "run" / "profiler"
    write_data(tmp_path / "data")
    write_recipe(tmp_path / "long.toml", rounds=ROUNDS)
    before = 0
    for how in (signal.SIGINT, signal.SIGTERM):
        code, said = stop_while_profiling(tmp_path, how)
        assert code == 130
        assert said.endswith(
            f"\nstopped; every visit made so far is kept in {data_dir}, and the next demo "
            "goes on from there\n"
        )
        assert companions(data_dir) == []
        for path in data_dir.glob("spool-*.db"):
            assert number(path, "SELECT count(*) FROM visits") == 0
        assert stored(data_dir) == spooled_ever(data_dir) >= before + ENOUGH
        # What was there when the demo asked is not asked for again.
        newest = "SELECT visits_at_start FROM jobs ORDER BY created_at DESC LIMIT 1"
        assert number(data_dir / "profiler.db", newest) == before
        open_jobs = "SELECT count(*) FROM tasks WHERE state IN ('queued', 'leased')"
        assert number(data_dir / "profiler.db", open_jobs) == 0
        before = stored(data_dir)
