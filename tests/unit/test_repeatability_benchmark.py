from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.repeatability import SessionRecord, figures, keep, kept, subjects


def record(day: int, **entries_ms: float) -> SessionRecord:
    at = f"2026-01-{day:02}T00:00:00+00:00"
    return SessionRecord(at, "ab" * 8, "this host", 0.1, 60.0, 10, 200, 3, entries_ms)


def test_sessions_of_one_file_are_compared_in_the_order_of_time(tmp_path: Path) -> None:
    file = tmp_path / "made" / "sessions.jsonl"
    assert kept(file) == []
    for one in (record(3, a=1.0), record(1, a=1.0, b=2.0), record(2, a=1.5)):
        keep(file, one)
    found = figures(kept(file))
    assert (found["sessions"], found["subjects"]) == (3, 1)
    # 1.0, 1.5, 1.0: not 1.0, 1.0, 1.5.
    assert found["consecutive_median_percent"] == 40.0


def test_what_the_whole_machine_did_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "sessions.jsonl"
    # The second session is slower by a tenth in all that it measures, and in `c` by more.
    for one in (record(1, a=1.0, b=2.0, c=4.0), record(2), record(3, a=1.1, b=2.2, c=4.84)):
        keep(file, one)
    found = figures(kept(file))
    assert found["consecutive_median_percent"] == pytest.approx(9.524, abs=1e-3)
    assert found["paced_consecutive_median_percent"] == pytest.approx(0, abs=1e-6)
    assert found["paced_consecutive_p90_percent"] == pytest.approx(0.8 * 9.524, abs=1e-3)


def test_one_session_gives_no_figure(tmp_path: Path) -> None:
    keep(tmp_path / "sessions.jsonl", record(1, a=1.0))
    found = figures(kept(tmp_path / "sessions.jsonl"))
    assert found["entry_cv_median"] is None
    assert found["consecutive_p90_percent"] is None


def test_every_session_measures_the_same_twenty() -> None:
    names = [one.name for one in subjects(10)]
    assert len(set(names)) == 20
    assert names == [one.name for one in subjects(10)]
