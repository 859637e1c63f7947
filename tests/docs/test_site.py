"""What `scripts/docs` writes and reads: the generated pages, formulas, and a built site's links."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from markdown import Markdown
from math_core import LatexError
from pydantic import BaseModel, Field

from netspec.console import connection
from netspec.operators import OPERATOR_CLASSES
from netspec.spaces import OperatorPlan, Space, Stage
from profiler_server.dashboard.wording import MEANINGS
from profiler_server.kit.settings import Settings
from scripts.site.commands import APPS, command_page, commands_of
from scripts.site.links import problems_of
from scripts.site.markdown import cell
from scripts.site.rest import rest_pages
from scripts.site.settings import comments, recipe_page, settings_page
from scripts.site.spaces import space_page
from scripts.site.words import EVERYDAY, WORDS, anchor, glossary
from search_client.latency.losses import Equation3
from tests.docs.pages import GENERATED, ROOT


def page_with(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"<html><body>{body}</body></html>", encoding="utf-8")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<h1 id="a">A</h1><a href="#a">a</a><a href="other.html#b">b</a>', ""),
        ('<a href="https://example.org/x">outside, on a click</a>', ""),
        ('<link rel="canonical" href="https://example.org/">', ""),
        ('<a href="lost.html">x</a>', "there is no such page: lost.html"),
        ('<a href="#lost">x</a>', "there is no such anchor: #lost"),
        ('<a href="other.html#lost">x</a>', "there is no such anchor: other.html#lost"),
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/f">', "loads //fonts.example/f"),
    ],
)
def test_a_sites_links_are_read(body: str, problem: str, tmp_path: Path) -> None:
    page_with(tmp_path, "page.html", body)
    page_with(tmp_path, "other.html", '<h1 id="b">B</h1>')
    found = problems_of(tmp_path)
    assert len(found) == bool(problem)
    assert all(problem in one for one in found)


def test_a_style_sheet_may_load_nothing_from_outside(tmp_path: Path) -> None:
    page_with(tmp_path, "page.html", "")
    style = "@import 'https://fonts.example/css'; a { background: url(local.png) }"
    (tmp_path / "x.css").write_text(style, encoding="utf-8")
    assert problems_of(tmp_path) == ["x.css loads https://fonts.example/css"]


def test_a_folder_without_pages_is_no_site(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == [f"{tmp_path} holds no pages"]


def test_formulas_become_mathml() -> None:
    markdown = Markdown(extensions=["scripts.site.formulas", "pymdownx.superfences"])
    text = "A $`p_i`$ and `$x`:\n\n```math\n\\frac{a}{b}\n```\n\n```sh\n$`no`$\n```\n"
    shown = markdown.convert(text)
    assert shown.count("<math") == 2
    assert '<div class="formula"><math display="block"' in shown
    assert "<mfrac>" in shown
    assert "<code>$x</code>" in shown
    assert "no" in shown


def test_a_broken_formula_ends_the_build() -> None:
    with pytest.raises(LatexError):
        Markdown(extensions=["scripts.site.formulas"]).convert("$`\\frac{a`$")


def linked(text: str) -> str:
    return Markdown(extensions=["scripts.site.words", "tables"]).convert(text)


def test_the_first_of_each_word_of_a_page_leads_to_its_meaning() -> None:
    shown = linked("Entries of visits, and a visit more.\n\nE[LAT] of *an entry*.")
    meaning = glossary(WORDS.read_text(encoding="utf-8"))["entry"]
    assert f'<a class="word" href="words.html#entry" title="{meaning}">Entries</a> of' in shown
    assert shown.count('href="words.html#visit"') == 1
    assert 'href="words.html#e-lat"' in shown
    assert "<em>an entry</em>" in shown


def test_words_that_are_part_of_something_else_are_left_alone() -> None:
    text = "# A visit\n\n[a visit](x.md) `visit` visit-wise revisits.\n\n    visit\n\nThe rest."
    assert 'class="word"' not in linked(text)


def test_every_word_has_a_meaning_that_stands_alone() -> None:
    found = glossary(WORDS.read_text(encoding="utf-8"))
    assert found["QAT"] == "int8 by finetuning under rounding"
    assert len(found) > 40
    assert set(found) > EVERYDAY
    anchors = [anchor(word) for word in found]
    assert len(set(anchors)) == len(anchors)
    assert all(len(meaning) > 10 for meaning in found.values())


def test_the_dashboard_explains_words_as_the_documentation_does() -> None:
    said = glossary(WORDS.read_text(encoding="utf-8"))
    assert {name: said.get(name) for name in MEANINGS} == MEANINGS
    templates = ROOT / "profiler_server" / "dashboard" / "templates"
    pages = "".join(page.read_text(encoding="utf-8") for page in templates.glob("*.j2"))
    assert set(re.findall(r'explain\("(\w+)"', pages)) == set(MEANINGS)


def test_every_command_and_option_is_in_the_reference() -> None:
    page = command_page()
    for name, app in APPS.items():
        for path, command in commands_of(typer.main.get_group(app), (name,)):
            section = page.partition(f"### {' '.join(path)}\n")[2].partition("\n### ")[0]
            for parameter in command.params:
                assert all(f"`{option}`" in section for option in parameter.opts if "-" in option)


def test_every_setting_is_in_the_reference_with_its_default() -> None:
    page = settings_page()
    for name in Settings.model_fields:
        assert f"| `PROFILER_{name.upper()}` |" in page
    assert "| `PROFILER_LEASE_TTL_S` | a lease that is not renewed for so many seconds" in page
    assert "is lost | `60` |" in page


def test_ranges_of_numbers_are_in_the_reference() -> None:
    page = command_page()
    assert "| `--threads` `int 1..64` |" in page
    assert "| `--core` `int 0..` |" in page
    assert " range`" not in page


def test_every_variable_that_finds_the_profiler_is_in_the_reference() -> None:
    page = settings_page()
    variables = {value for name, value in vars(connection).items() if name.endswith("_VARIABLE")}
    assert len(variables) > 3
    assert {one for one in variables if f"| `{one}` |" not in page} == set()


def test_recipes_have_every_table_and_kind() -> None:
    page = recipe_page()
    assert "## [search]\n" in page
    assert '## [search.latency_loss], kind = "equation3"\n' in page
    assert f"| `floor` | least value of the logarithm | `{Equation3().floor:g}` |" in page
    assert "| `warmup_epochs` | of weight steps alone | `40` |" in page


def test_spaces_have_every_field_and_kind_of_operator() -> None:
    page = space_page()
    for model in (Space, Stage, OperatorPlan):
        assert {name for name in model.model_fields if f"| `{name}` |" not in page} == set()
    assert "| `kind` | of the operator, as in its key | required |" in page
    for kind, operator in OPERATOR_CLASSES.items():
        assert (f"| `{kind}` |" in page) == (operator.place != "conversion")
    assert "`kernel = 3` (1, 3, 5, 7, 9, 11), `middle`, `squeeze = 0`" in page


def test_every_operation_and_message_is_in_the_reference() -> None:
    pages = rest_pages(ROOT / "docs" / "openapi.json")
    assert "### GET /v1/targets/{target_id}/latency\n" in pages["rest-tables.md"]
    assert "### PUT /v1/models/{sha256}\n" in pages["rest-models.md"]
    assert "| `operators` | list of " in pages["rest-messages.md"]
    tables = pages["rest-tables.md"]
    assert "[Prediction](rest-messages.md#prediction) as `application/json`" in tables
    api = json.loads((ROOT / "docs" / "openapi.json").read_bytes())
    operations = {
        f"{method.upper()} {path}" for path, methods in api["paths"].items() for method in methods
    }
    shown = {
        heading
        for page in pages.values()
        for heading in re.findall(r"^### ([A-Z]+ /.*)$", page, re.MULTILINE)
    }
    assert shown == operations
    assert {f"docs/reference/{name}" for name in pages} <= GENERATED
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    assert {name for name in pages if f'"reference/{name}"' not in navigation} == set()


PAGES = {"settings": settings_page(), "recipes": recipe_page(), "spaces": space_page()}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_value_has_a_meaning(page: str) -> None:
    assert re.findall(r"^\| `(\w+)` \|  \|", page, re.MULTILINE) == []


class Documented(BaseModel):
    #: one line,
    #: and another
    first: int = 1
    second: int = Field(default=2, description="by its field")


def test_comments_above_fields_are_read() -> None:
    assert comments(Documented) == {"first": "one line, and another", "second": ""}


def test_pipes_part_cells_but_in_code() -> None:
    assert cell("a | b\n  `c|d`") == "a \\| b `c|d`"
