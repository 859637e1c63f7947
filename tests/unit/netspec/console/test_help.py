from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from netspec.console.help import joined_paragraphs, wrap_help

group = typer.Typer()


@group.command()
def measure(again: Annotated[bool, typer.Option("--again", help="Anew.")] = False) -> None:
    """Measure something.

    This paragraph was broken
    in its source where no terminal
    breaks it.

    Examples:
      tool measure
      tool measure --again
    """
    typer.echo(f"again {again}")


app = typer.Typer()
app.add_typer(group, name="group")
app.command()(measure)
wrap_help(app)


@pytest.mark.parametrize("words", [["measure"], ["group", "measure"]])
def test_paragraphs_wrap_and_flags_have_no_type(words: list[str]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "100"}).output
    assert "This paragraph was broken in its source where no terminal breaks it." in shown
    assert "\n Examples:\n tool measure\n tool measure --again\n" in "\n".join(
        line.rstrip() for line in shown.splitlines()
    )
    assert "--again" in shown
    assert "bool" not in shown + CliRunner().invoke(app, ["group", "--help"]).output
    assert CliRunner().invoke(app, [*words, "--again"]).output == "again True\n"


def test_lines_of_an_example_stay() -> None:
    text = "One\ntwo.\n\nExamples:\n  tool a\n  tool b"
    assert joined_paragraphs(text) == "One two.\n\nExamples:\n  tool a\n  tool b"
