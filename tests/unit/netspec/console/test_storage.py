import errno
import os
from pathlib import Path

import pytest

from netspec.console.connection import CACHE_DIR_VARIABLE, DATA_DIR_VARIABLE
from netspec.console.storage import obstacle, user_error


@pytest.fixture(autouse=True)
def _folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path / "cache"))


def line_of(number: int, place: Path | None) -> str:
    error = OSError(number, os.strerror(number), *([str(place)] if place else []))
    explained = user_error(error)
    assert explained is not None
    return str(explained)


@pytest.mark.parametrize(
    ("folder", "advice"),
    [
        ("data", f"name another folder with {DATA_DIR_VARIABLE}"),
        ("cache", f"name another folder with {CACHE_DIR_VARIABLE}"),
        ("run", "name another place"),
    ],
)
def test_the_advice_is_for_the_folder_concerned(folder: str, advice: str, tmp_path: Path) -> None:
    place = tmp_path / folder / "file"
    full = f"no space is left on the disk for {place}; free some, or {advice}"
    for number in (errno.ENOSPC, errno.EDQUOT):
        assert line_of(number, place) == full
    for number in (errno.EROFS, errno.EACCES, errno.EPERM):
        refused = f"cannot use {place}: {os.strerror(number)}; make it yours, or {advice}"
        assert line_of(number, place) == refused


def test_a_write_that_names_no_file() -> None:
    assert line_of(errno.ENOSPC, None) == (
        "no space is left on the disk; free some, or name another place"
    )


def test_whose_a_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user = tmp_path.owner()
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    line = line_of(errno.EACCES, tmp_path / "nowhere" / "file")
    assert f"Permission denied ({tmp_path} belongs to the user {user}); " in line


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EINVAL, errno.ECONNREFUSED])
def test_faults_of_ours_keep_their_trace(number: int, tmp_path: Path) -> None:
    assert user_error(OSError(number, "fault", str(tmp_path))) is None


def test_a_refusal_that_is_not_of_a_file_keeps_its_trace() -> None:
    assert user_error(PermissionError(errno.EPERM, "fault")) is None


def test_obstacles(tmp_path: Path) -> None:
    assert obstacle(tmp_path / "file") == ""
    missing = tmp_path / "run" / "file"
    assert obstacle(missing) == (
        f"there is no folder {missing.parent}; make it, or name another place"
    )
