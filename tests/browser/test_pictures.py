"""The documentation's pictures of pages: taken here, and seen to be of the pages as they are.

`DOCS_PICTURES=docs/pictures ./scripts/test tests/browser/test_pictures.py` takes them again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import farm
from tests.browser.watching import Open, Watched
from tests.docs.pages import ROOT

_FOLDER = ROOT / "docs" / "pictures"
_SEEN = "pages.json"
_SIZE = {"width": 1100, "height": 820}
#: variable: the folder into which pictures are taken
_VARIABLE = "DOCS_PICTURES"


def _table(watched: Watched) -> None:
    watched.go("/targets")
    watched.page.get_by_role("link", name=farm.MODELS[1], exact=True).click()
    watched.page.get_by_role("heading", name="Blocks").wait_for()


def _networks(watched: Watched) -> None:
    _table(watched)
    watched.page.get_by_role("link", name="Networks", exact=True).click()
    watched.page.locator("figure.plot .main-svg").first.wait_for()


def _comparison(watched: Watched) -> None:
    watched.go("/comparison")
    for model in farm.MODELS:
        watched.page.get_by_role("checkbox", name=model).check()
    watched.page.get_by_role("button", name="Compare").click()
    watched.page.locator("svg.scatter").first.wait_for()


def _ranking(watched: Watched) -> None:
    watched.go("/ranking?text=net+3")
    watched.page.get_by_role("link", name="net 3").first.click()
    watched.page.get_by_role("region", name="Targets, the fastest first").wait_for()


PAGES = {
    "table": _table,
    "networks": _networks,
    "comparison": _comparison,
    "ranking": _ranking,
}


def _words(page: Page) -> list[str]:
    """What a picture shows that changes with the page and not with what was measured."""
    words = page.locator("h1, h2, h3, label, legend, button, thead th").all_inner_texts()
    # Other tests of the same server bring targets of their own.
    return [one for one in words if " · " not in one or any(own in one for own in farm.MODELS)]


@pytest.mark.parametrize("name", PAGES)
def test_pictures_of_the_documentation_are_of_the_pages_as_they_are(
    name: str, open_page: Open
) -> None:
    watched = open_page(viewport=_SIZE)
    PAGES[name](watched)
    words = _words(watched.page)
    if into := os.environ.get(_VARIABLE):
        folder = Path(into)
        folder.mkdir(exist_ok=True)
        watched.page.screenshot(path=folder / f"{name}.png")
        seen = folder / _SEEN
        known = json.loads(seen.read_bytes()) if seen.exists() else {}
        known[name] = words
        seen.write_text(json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    known = json.loads((_FOLDER / _SEEN).read_bytes())
    assert known[name] == words, "the page is another now: take its picture again, as said above"
    assert (_FOLDER / f"{name}.png").stat().st_size < 200_000
    dashboard = (ROOT / "docs" / "dashboard.md").read_text(encoding="utf-8")
    assert f"](pictures/{name}.png)" in dashboard
