import sys

import pytest
import typer

from netspec.command import run
from netspec.errors import UserError

app = typer.Typer()


@app.command()
def greet(name: str) -> None:
    if name == "nobody":
        raise UserError("there is [nobody]\nto greet; name somebody: " + "x" * 200)
    if name == "bug":
        raise ZeroDivisionError
    print(f"hello {name}")  # noqa: T201 (what the command does)


def run_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["greet", *arguments])
    with pytest.raises(SystemExit) as caught:
        run(app)
    return caught.value.code


def test_a_command_that_works_exits_with_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, "Ada") == 0
    assert capsys.readouterr().out == "hello Ada\n"


def test_a_user_error_is_one_line_on_stderr_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, "nobody") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    expected = "error: there is [nobody] to greet; name somebody: " + "x" * 200 + "\n"
    assert printed.err == expected


def test_a_wrong_option_exits_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, "--colour", "red") == 2
