"""The first page: its Python runs as it stands, and what it says is what there is."""

from __future__ import annotations

import re

import pytest

from netspec.operators import operator_from_key
from scripts.prediction_picture import validations
from search_client.recipe import read_recipe
from tests.docs.pages import ROOT, all_blocks

BLOCKS = [block for block in all_blocks() if block.page == "README.md"]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_python_runs_as_typed_in_a_checkout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [one for one in BLOCKS if one.language == "python"]
    assert len([line for line in block.text.splitlines() if line]) <= 10
    monkeypatch.chdir(ROOT)
    exec(compile(block.text, block.where, "exec"), {})  # noqa: S102 - our own page
    label, *predictions = capsys.readouterr().out.splitlines()
    assert label.startswith("Intel(R) Xeon(R)")
    for precision, line in zip(("float32", "int8"), predictions, strict=True):
        assert line.startswith(f"{precision}: ")
        predicted, low, high = map(float, re.findall(r"\d\.\d{3}", line))
        assert low < predicted < high


def test_the_blocks_that_it_asks_for_are_in_the_demos_table() -> None:
    (asked,) = [one.text for one in BLOCKS if "curl" in one.text]
    (key,) = re.findall(r"key=([^\"]+)", asked)
    operator = operator_from_key(key)
    assert operator in read_recipe("demo").for_classes(10).operators()
    (query,) = re.findall(r"latency\?([^\"]+)", asked)
    fields: dict[str, str] = dict(re.findall(r"(\w+)=(\w+)", query))
    names = {"in": "in_channels", "out": "out_channels", "size": "input_size"}
    asked_for = {names.get(name) or name: value for name, value in fields.items()}
    assert asked_for == {name: str(getattr(operator, name)) for name in asked_for}


def test_its_picture_says_what_the_text_says() -> None:
    picture = (ROOT / "docs" / "predictions.svg").read_text(encoding="utf-8")
    assert len(picture) < 100_000
    drawn = validations()
    assert sum(len(one.networks) for one in drawn) == 16
    for one in drawn:
        assert one.coverage == 1.0
        off = f"{one.error.mape_percent:.1f} %"
        assert f"{one.precision}: {off} off on average" in picture
        assert f"{off}" in TEXT.partition("python -m scripts.prediction_picture")[0]


def test_it_has_no_word_of_the_project_that_it_does_not_explain() -> None:
    assert re.findall(r"\b(?:leas|visit|spool|attempt|entry|entries)\w*|E\[LAT\]", TEXT) == []


def test_a_target_is_explained_where_it_first_stands() -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", TEXT, flags=re.DOTALL)
    first = re.search(r"\W*\btarget\b\W*", prose, re.IGNORECASE)
    assert first is not None
    assert "**" in first[0]
