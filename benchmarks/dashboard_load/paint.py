"""When Chromium first paints a page whose plotting script is slow."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable

from playwright.sync_api import Page, Route, sync_playwright
from playwright.sync_api import TimeoutError as NotPainted

from benchmarks.server_load.machine import Service

_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_POLL_MS = 20


def first_paints_ms(served: Service, paths: Iterable[str], held_ms: float) -> list[float | None]:
    """Of each page: ms to its first paint with a table in it, the script's answer held back.

    Args:
        served: the server.
        paths: of pages with charts, below the dashboard's own address.
        held_ms: how long the script is held back; a page that is not painted by then has None.
    """
    with sync_playwright() as playwright:
        arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        page = browser.new_page()
        page.goto(f"{served.url}/dashboard/login")
        page.get_by_label("Token").fill(served.token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Farm").wait_for()
        found = [_first_paint_ms(page, f"{served.url}/dashboard{path}", held_ms) for path in paths]
        browser.close()
    return found


def _first_paint_ms(page: Page, url: str, held_ms: float) -> float | None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/plotly.min.js*", hold)
    try:
        page.goto(url, wait_until="commit")
        page.locator("main table").first.wait_for(state="visible", timeout=held_ms)
        painted = _painted_ms(page, held_ms)
    except NotPainted:
        return None
    finally:
        page.wait_for_timeout(100)
        for route in held:
            route.continue_()
        page.unroute_all(behavior="ignoreErrors")
    if not held:
        raise RuntimeError(f"{url} has no plotting script to wait for")
    return painted


def _painted_ms(page: Page, within_ms: float) -> float | None:
    # Not `wait_for_function`, which evaluates a text: the page's policy forbids that.
    until = time.monotonic() + within_ms / 1_000
    while time.monotonic() < until:
        painted = page.evaluate(_PAINTED)
        if painted is not None:
            return float(painted)
        page.wait_for_timeout(_POLL_MS)
    return None
