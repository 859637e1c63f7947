from pathlib import Path

import pytest

from netspec.console.connection import data_dir, load_token, save_token, token_path
from netspec.errors import UserError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PROFILER_TOKEN", raising=False)
    monkeypatch.setenv("PROFILER_DATA_DIR", str(tmp_path / "deep" / "data"))
    return tmp_path / "deep" / "data"


def test_the_variable_moves_the_folder_which_is_made(folder: Path) -> None:
    assert data_dir() == folder
    assert folder.is_dir()


def test_the_folder_is_the_users_own_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROFILER_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_dir().is_dir()
    assert tmp_path in data_dir().parents


def test_a_saved_token_is_found_and_private(folder: Path) -> None:
    path = save_token("secret")
    assert path == token_path() == folder / "token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_token() == "secret"


def test_saving_closes_a_file_that_was_open_to_all(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "token").write_text("old")
    (folder / "token").chmod(0o644)
    save_token("new")
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert load_token() == "new"


def test_the_variable_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    save_token("from the file")
    monkeypatch.setenv("PROFILER_TOKEN", " from the variable ")
    assert load_token() == "from the variable"


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_no_token_says_what_to_do(folder: Path, content: str | None) -> None:
    if content is not None:
        folder.mkdir(parents=True)
        (folder / "token").write_text(content)
    with pytest.raises(UserError) as caught:
        load_token()
    assert str(caught.value).startswith("no token: set PROFILER_TOKEN, or start `profiler-server")
    assert str(folder / "token") in str(caught.value)


def test_a_folder_that_cannot_be_made_is_told(folder: Path) -> None:
    folder.parent.touch()
    with pytest.raises(UserError, match=f"{folder} cannot be made: .*; name another with PROFILER"):
        data_dir()


def test_a_token_that_cannot_be_kept_or_read_is_told(folder: Path) -> None:
    (folder / "token").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot keep the token in .*: Is a directory"):
        save_token("secret")
    with pytest.raises(UserError, match=r"token cannot be read: .*; set PROFILER_TOKEN"):
        load_token()


def test_a_token_of_strange_characters_is_told(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read: 'ascii' codec"):
        load_token()
