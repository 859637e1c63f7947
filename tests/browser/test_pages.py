"""Every page, found by following links, in both colour schemes, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse
from playwright.sync_api import Browser, Route, expect

from profiler_server.dashboard.endpoints import ROUTERS
from tests.browser import farm
from tests.browser.watching import Open, Site, Watched
from tests.integration.profiler_server.farm import identity
from tests.waiting import wait_for

#: a file, no page
_DOWNLOAD = "/targets/{target_id}/snapshot"
_ROUTES = {
    route.path: route.path_regex
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    and "GET" in (route.methods or ())
    # Streams have no page of their own.
    and route.response_class not in (EventSourceResponse, JSONResponse)
    and route.path != _DOWNLOAD
}
#: pages of one kind that are looked at, so that filters and links to other times are among them
_OF_ONE_KIND = 2
#: of axe-core's rules, those whose answer is another one in the dark or on a narrow screen
DIFFERENT_IN_THE_DARK = ("color-contrast", "target-size", "scrollable-region-focusable")
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 800}


def kind_of(path: str) -> str:
    """The route that answers with a page."""
    without_query = urlsplit(path).path or "/"
    # The more exact route comes first.
    return next(route for route, regex in _ROUTES.items() if regex.match(without_query))


def links(watched: Watched) -> list[str]:
    """The page's links to pages of the dashboard, in order."""
    found: list[str] = watched.page.eval_on_selector_all(
        "a[href]:not([download])", "all => all.map(a => a.href)"
    )
    own = [link.split("#")[0].removeprefix(watched.base) for link in found]
    return [link for link in own if link.startswith("/")]


def crawl(watched: Watched, first: Sequence[str]) -> list[str]:
    """Addresses of pages of every kind that links lead to, in the order of first sight."""
    waiting, seen, taken = [*first], set[str](), dict[str, list[str]]()
    while waiting:
        path = waiting.pop(0)
        if path in seen or len(taken.setdefault(kind_of(path), [])) == _OF_ONE_KIND:
            continue
        seen.add(path)
        taken[kind_of(path)].append(path)
        watched.go(path)
        waiting += links(watched)
    assert taken.keys() == set(_ROUTES), "a page that no link leads to"
    return [path for paths in taken.values() for path in paths]


@pytest.fixture(scope="module")
def pages(browser: Browser, site: Site) -> list[str]:
    """Addresses of pages of every kind."""
    with browser.new_context() as context:
        watched = Watched(context, site.base)
        watched.sign_in(site.token)
        # Of many, those with something to see: a calibration, and a job that leads to a model.
        jobs = site.api.call("GET", "/v1/jobs?name=mine.tflite").json()
        networks = f"/targets/{identity(farm.MODELS[0]).id}/networks"
        found = crawl(watched, ["/", "/login", networks, f"/jobs/{jobs[0]['id']}"])
    assert watched.complaints == []
    return found


def test_every_page_is_accessible_and_breaks_no_policy(open_page: Open, pages: list[str]) -> None:
    light = open_page(color_scheme="light", viewport=WIDE)
    dark = open_page(color_scheme="dark", viewport=NARROW)
    for path in pages:
        light.go(path)
        for figure in light.page.locator("figure.plot").all():
            expect(figure.locator(".main-svg").first).to_be_visible()
        light.check_accessible()
        dark.go(path)
        dark.check_accessible(only=DIFFERENT_IN_THE_DARK)
        for watched in (light, dark):
            watched.check_fits()
            assert watched.page.title().endswith(" · Profiler")
            assert watched.page.locator("h1").count() == 1


def test_every_page_says_the_same_without_scripts(open_page: Open, pages: list[str]) -> None:
    plain = open_page(java_script_enabled=False)
    charts = 0
    for path in pages:
        plain.go(path)
        assert plain.page.locator("h1").is_visible()
        for figure in plain.page.locator("figure.plot").all():
            charts += 1
            assert not figure.is_visible()
            assert plain.page.locator("table").count() > 0
    assert charts > 0


def test_the_page_is_there_before_the_plotting_script(open_page: Open, pages: list[str]) -> None:
    watched = open_page()
    with_chart = next(one for one in pages if re.fullmatch(r"/targets/[0-9a-f]{16}/networks", one))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    watched.page.route("**/plotly.min.js*", hold)
    watched.page.goto(watched.base + with_chart, wait_until="commit")
    expect(watched.page.locator("h1")).to_be_visible()
    expect(watched.page.locator("table").first).to_be_visible()
    first_paint = "performance.getEntriesByName('first-contentful-paint').length"
    # Not `wait_for_function`: from its second look on the page's own policy forbids it to evaluate.
    wait_for(lambda: watched.page.evaluate(first_paint))
    assert watched.page.locator(".main-svg").count() == 0
    assert len(held) == 1
    held[0].continue_()
    expect(watched.page.locator(".main-svg").first).to_be_visible()


def test_the_keyboard_reaches_the_content_and_sees_where_it_is(open_page: Open) -> None:
    watched = open_page()
    watched.go("/")
    watched.page.keyboard.press("Tab")
    skip = watched.page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    watched.page.keyboard.press("Enter")
    expect(watched.page.locator("main")).to_be_focused()
    watched.page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert watched.page.evaluate(outline) == "solid"


def test_markup_in_names_stays_text(open_page: Open) -> None:
    watched = open_page()
    dialogs: list[str] = []
    watched.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for path in ("/", "/jobs"):
        watched.go(path)
        assert "<script>alert('x')</script>" in watched.page.inner_text("main")
    watched.page.get_by_role("link", name="waits <script>").click()
    expect(watched.page.locator("h1")).to_have_text("waits <script>alert('x')</script>")
    assert dialogs == []
