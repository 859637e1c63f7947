"""The documentation's pictures of pages: taken here, and seen to be of the pages as they are.

`DOCS_PICTURES=docs/pictures ./scripts/test tests/browser/test_pictures.py` takes them again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import farm, reports
from tests.browser.watching import Open, OpenFile, Watched
from tests.docs.pages import ROOT
from tests.integration.profiler_server.farm import identity

_FOLDER = ROOT / "docs" / "pictures"
_SEEN = "pages.json"
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?")
_SIZE = {"width": 1100, "height": 820}
#: variable: the folder into which pictures are taken
_VARIABLE = "DOCS_PICTURES"


def _farm(watched: Watched) -> None:
    watched.go("/")
    watched.page.get_by_role("heading", name="Devices").wait_for()


def _device(watched: Watched) -> None:
    watched.go("/")
    watched.page.get_by_role("link", name=farm.DAY_SERIAL, exact=True).click()
    watched.page.get_by_role("heading", name="The last day").wait_for()


def _filing(watched: Watched) -> None:
    page = watched.page
    watched.go("/jobs/new")
    page.get_by_label("Target", exact=True).select_option(identity(farm.MODELS[1]).id)
    page.get_by_role("button", name="Next: what").click()
    page.get_by_label("Input size (px)").wait_for()


def _model(watched: Watched) -> None:
    page = watched.page
    watched.go("/jobs")
    page.get_by_role("link", name="latency of mine.tflite").click()
    page.get_by_role("region", name="Latencies").get_by_role("link", name="mine.tflite").click()
    page.get_by_role("region", name="Share by kind of layer").wait_for()


def _targets(watched: Watched) -> None:
    watched.go("/targets?text=Pixel")
    watched.page.get_by_role("region", name="Targets").wait_for()


def _table(watched: Watched) -> None:
    watched.go("/targets")
    watched.page.get_by_role("link", name=farm.MODELS[1], exact=True).click()
    watched.page.get_by_role("heading", name="Blocks").wait_for()


def _view(model: str, name: str) -> Callable[[Watched], None]:
    """One of a target's views."""

    def show(watched: Watched) -> None:
        watched.go("/targets")
        watched.page.get_by_role("link", name=model, exact=True).click()
        views = watched.page.get_by_role("navigation", name="Views of this target")
        views.get_by_role("link", name=name, exact=True).click()
        watched.page.locator("[aria-current=page]", has_text=name).wait_for()

    return show


def _networks(watched: Watched) -> None:
    _view(farm.MODELS[1], "Networks")(watched)
    watched.page.locator("figure.plot .main-svg").first.wait_for()


def _fields(watched: Watched) -> None:
    _view(farm.MODELS[1], "By field")(watched)
    watched.page.get_by_label("Kind").select_option("mbconv")
    watched.page.get_by_role("button", name="Show").click()
    watched.page.get_by_label("Columns").wait_for()


def _entry(watched: Watched) -> None:
    _table(watched)
    watched.page.locator("td[class^=heat] a").first.click()
    watched.page.locator("figure.plot .main-svg").first.wait_for()


def _visit(watched: Watched) -> None:
    page = watched.page
    _device(watched)
    page.get_by_text("Why visits were rejected").click()
    page.get_by_role("listitem").filter(has_text="others took").get_by_role("link").first.click()
    page.get_by_role("img", name="Histogram").wait_for()


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


def _open(path: str) -> Callable[[Watched], None]:
    """What stands under an address."""
    return lambda watched: watched.go(path)


def _job(name: str, part: str) -> Callable[[Watched], None]:
    """The newest job of a name, when a part of its page is there."""

    def show(watched: Watched) -> None:
        watched.go("/jobs")
        watched.page.get_by_role("link", name=name, exact=True).first.click()
        watched.page.get_by_role("heading", name=part).wait_for()

    return show


def _api(watched: Watched) -> None:
    """Outside the dashboard, for whoever reaches the server."""
    watched.page.goto(f"{watched.base.removesuffix('/dashboard')}/docs")
    watched.page.get_by_role("heading", name="profiler-server").wait_for()
    watched.page.locator(".opblock").first.wait_for()


def _login(watched: Watched) -> None:
    watched.go("/login")
    watched.page.get_by_label("Token").wait_for()


PAGES: dict[str, Callable[[Watched], None]] = {
    "farm": _farm,
    "device": _device,
    "jobs": _open("/jobs"),
    "job": _job(farm.FAILED_JOB, "What failed"),
    "filing": _filing,
    "without-pause": _job(farm.STEADY_JOB, "Speed without pause"),
    "model-form": _open("/models/new"),
    "model": _model,
    "targets": _targets,
    "table": _table,
    "fields": _fields,
    "networks": _networks,
    "disagreement": _view(farm.MODELS[1], "Disagreement"),
    "left-out": _view(farm.LEFT_OUT_MODEL, "Left out"),
    "entry": _entry,
    "visit": _visit,
    "comparison": _comparison,
    "ranking": _ranking,
    "sessions": _open("/sessions"),
    "login": _login,
    "api": _api,
}
#: what is compared, and of the API, whose buttons are all its endpoints
_NAMED = "h1, h2, h3, label, legend, button, thead th"
_HEADINGS = {"api": "h2, h3"}
#: pages of the server that others than the dashboard's own show
_DOCUMENTED = {"api": "server.md"}
#: pages of `search-client`: file, and the page of the documentation that shows it
FILES = {
    "report": (reports.REPORT, "search.md"),
    "compare-runs": (reports.COMPARISON, "search.md"),
}


def _words(page: Page, name: str) -> list[str]:
    """What a picture shows that changes with the page and not with what was measured."""
    all_words = page.locator(_HEADINGS.get(name, _NAMED)).all_inner_texts()
    words = [_TIME.sub("TIME", one) for one in all_words]
    # Other tests of the same server bring targets of their own, and sessions with a button each.
    shown = [one for one in words if " · " not in one or any(own in one for own in farm.MODELS)]
    return list(dict.fromkeys(shown))


def _check(name: str, page: Page, documentation: str) -> None:
    """Sees that a picture is of a page as it is, or takes it, and that the documentation has it."""
    words = _words(page, name)
    if into := os.environ.get(_VARIABLE):
        folder = Path(into)
        folder.mkdir(exist_ok=True)
        page.screenshot(path=folder / f"{name}.png")
        seen = folder / _SEEN
        known = json.loads(seen.read_bytes()) if seen.exists() else {}
        known[name] = words
        seen.write_text(json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    known = json.loads((_FOLDER / _SEEN).read_bytes())
    assert known[name] == words, "the page is another now: take its picture again, as said above"
    assert (_FOLDER / f"{name}.png").stat().st_size < 200_000
    text = (ROOT / "docs" / documentation).read_text(encoding="utf-8")
    assert f"](pictures/{name}.png)" in text


@pytest.mark.parametrize("name", PAGES)
def test_pictures_of_the_documentation_are_of_the_pages_as_they_are(
    name: str, open_page: Open
) -> None:
    watched = open_page(sign_in=name not in ("login", "api"), viewport=_SIZE)
    PAGES[name](watched)
    _check(name, watched.page, _DOCUMENTED.get(name, "dashboard.md"))


@pytest.mark.parametrize("name", FILES)
def test_pictures_of_reports_are_of_the_pages_as_they_are(name: str, open_file: OpenFile) -> None:
    file, documentation = FILES[name]
    _check(name, open_file(file, viewport=_SIZE).page, documentation)
