from pathlib import Path

import pytest

from netspec.console.tokens import (
    connection,
    load_token,
    save_token,
    server_address,
    server_tokens,
    stored_tokens,
    token_path,
)
from netspec.errors import ProfilerUnreachable, UserError

HERE = "http://127.0.0.1:8600"
LAB = "https://profiler.example"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8600", HERE),
        ("http://127.0.0.1:8600/", HERE),
        ("http://localhost:8600/v1", HERE),
        ("http://0.0.0.0:8600", HERE),
        ("http://[::]:8600", HERE),
        ("HTTP://user@LOCALHOST:8600?a=b", HERE),
        ("https://Profiler.Example/", "https://profiler.example:443"),
        ("http://profiler.example", "http://profiler.example:80"),
        ("http://[::1]:8600", "http://[::1]:8600"),
    ],
)
def test_an_address_has_one_spelling(url: str, address: str) -> None:
    assert server_address(url) == address


@pytest.mark.parametrize("url", ["", "host", "ftp://host", "http://", "http://a:b", "http://[1"])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(ProfilerUnreachable, match=r"is no URL.*expected http://HOST:PORT"):
        load_token(url)


def test_a_saved_token_is_loaded_and_private(data_folder: Path) -> None:
    path = save_token(HERE, "secret")
    assert path == token_path(HERE)
    assert path.is_relative_to(data_folder)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_token("http://localhost:8600/") == "secret"
    assert connection() == (HERE, "secret")
    assert connection(LAB, "given") == (LAB, "given")


def test_saving_closes_a_file_that_was_open_to_all() -> None:
    path = save_token(HERE, "old")
    path.chmod(0o644)
    save_token(HERE, "new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_token(HERE) == "new"


@pytest.mark.parametrize("other", [LAB, "http://127.0.0.1:8601", "https://127.0.0.1:8600"])
def test_a_token_is_for_no_other_server(other: str) -> None:
    save_token(HERE, "secret")
    with pytest.raises(UserError, match=f"no token for {server_address(other)}"):
        load_token(other)
    save_token(other, "another")
    assert (load_token(HERE), load_token(other)) == ("secret", "another")


def test_servers_that_take_turns_at_an_address_both_keep_their_tokens() -> None:
    save_token(LAB, "of the lab")
    for token in ("first", "second", "first"):
        save_token(HERE, token.replace(" ", "-"))
        assert load_token(HERE) == token
    assert server_tokens(HERE) == ["first", "second"]
    assert server_tokens("http://127.0.0.1:1") == []


def test_a_server_that_moved_sees_every_stored_token_its_own_address_first() -> None:
    save_token(HERE, "here")
    save_token(LAB, "lab")
    assert stored_tokens(LAB) == ["lab", "here"]
    assert stored_tokens("http://127.0.0.1:1") == ["here", "lab"]


def test_the_variable_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    save_token(HERE, "from-the-file")
    monkeypatch.setenv("PROFILER_TOKEN", " from the variable ")
    assert load_token(HERE) == load_token(LAB) == "from the variable"


def test_the_variable_is_for_the_server_of_the_other_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROFILER_TOKEN", "of-the-lab")
    monkeypatch.setenv("PROFILER_URL", LAB)
    assert load_token(f"{LAB}:443/") == "of-the-lab"
    assert connection() == (LAB, "of-the-lab")
    with pytest.raises(UserError) as caught:
        load_token(HERE)
    assert "(PROFILER_TOKEN is for PROFILER_URL, https://profiler.example:443)" in str(caught.value)
    save_token(HERE, "here")
    assert load_token(HERE) == "here"


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_no_token_says_which_and_how_to_give_it(content: str | None) -> None:
    if content is not None:
        save_token(LAB, "old").write_text(content)
    with pytest.raises(UserError) as caught:
        load_token(LAB)
    assert str(caught.value).startswith(
        "no token for https://profiler.example:443: set PROFILER_TOKEN to one that "
        "`profiler-server token create` made"
    )
    assert str(token_path(LAB)) in str(caught.value)


def test_a_token_that_the_message_asks_for_is_taken() -> None:
    path = token_path(LAB)
    path.parent.mkdir(parents=True)
    path.write_text("by-hand")
    assert load_token(LAB) == "by-hand"


def test_a_token_that_cannot_be_kept_or_read_is_told(data_folder: Path) -> None:
    data_folder.mkdir(parents=True)
    token_path(HERE).parent.touch()
    with pytest.raises(UserError, match=r"cannot keep the token in .*; name another folder"):
        save_token(HERE, "secret")
    token_path(HERE).parent.unlink()
    token_path(HERE).mkdir(parents=True)
    with pytest.raises(UserError, match=r"token in .* cannot be read: .*; set PROFILER_TOKEN"):
        load_token(HERE)


def test_looking_for_a_token_makes_no_folder(data_folder: Path) -> None:
    with pytest.raises(UserError, match="no token for"):
        load_token(HERE)
    assert not data_folder.parent.exists()


def test_a_token_of_strange_characters_is_told() -> None:
    save_token(HERE, "old").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read: 'ascii' codec"):
        load_token(HERE)
