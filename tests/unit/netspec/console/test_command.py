import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from netspec.console.command import print_json, run
from netspec.errors import Interrupted, UserError

app = typer.Typer()


@app.command()
def greet(name: str) -> None:
    if name == "nobody":
        raise UserError("there is [nobody]\nto greet; name somebody: " + "x" * 200)
    if name == "SIGTERM":
        raise Interrupted("stopped; start it again")
    if name == "Ctrl-C":
        raise KeyboardInterrupt
    if name == "bug":
        raise ZeroDivisionError
    print(f"hello {name}")  # noqa: T201 (what the command does)


class Person(BaseModel):
    name: str


@dataclass
class Greeting:
    file: Path
    numbers: tuple[float | None, ...]


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


def test_an_end_that_was_asked_for_is_told_from_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, "SIGTERM") == 130
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "stopped; start it again\n")


def test_a_wrong_option_exits_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, "--colour", "red") == 2


def test_ctrl_c_is_one_line_and_exit_code_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, "Ctrl-C") == 130
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "stopped by Ctrl-C\n")


def test_messages_and_dataclasses_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"greeting": Greeting(Path("a b"), (1.5, None)), "to": [Person(name="Ada")]})
    assert json.loads(capsys.readouterr().out) == {
        "greeting": {"file": "a b", "numbers": [1.5, None]},
        "to": [{"name": "Ada"}],
    }


@pytest.mark.parametrize("name", ["search-client", "device-agent", "profiler-server"])
def test_every_program_tells_its_version(name: str) -> None:
    version = importlib.metadata.version("proxyless-farm")
    said = subprocess.run(
        [str(Path(sys.executable).with_name(name)), "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said.stdout == f"{name} {version}\n"
