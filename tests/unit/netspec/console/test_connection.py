from pathlib import Path

import pytest

from netspec.console.connection import data_dir
from netspec.errors import UserError


def test_the_variable_moves_the_folder_which_is_made(data_folder: Path) -> None:
    assert data_dir() == data_folder
    assert data_folder.is_dir()


def test_the_folder_is_the_users_own_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROFILER_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_dir().is_dir()
    assert tmp_path in data_dir().parents


def test_a_folder_that_cannot_be_made_is_told(data_folder: Path) -> None:
    data_folder.parent.touch()
    with pytest.raises(UserError, match=f"{data_folder} cannot be made: .*; name another with"):
        data_dir()
