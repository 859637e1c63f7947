"""What the project's words mean, asked where they stand."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser import farm
from tests.browser.test_pages import NARROW
from tests.browser.test_tables import open_table
from tests.browser.watching import Open, Site
from tests.integration.profiler_server import farm as integration_farm


@pytest.mark.parametrize("scripts", [True, False])
def test_a_newcomer_asks_with_the_keyboard_what_a_word_means(
    open_page: Open, *, scripts: bool
) -> None:
    watched = open_page(java_script_enabled=scripts, viewport=NARROW)
    page = watched.page
    open_table(watched, farm.MODELS[1])
    meaning = page.locator("#word-target")
    expect(meaning).to_be_hidden()
    word = page.get_by_role("button", name="target", exact=True)
    # A screen reader says it without pressing anything.
    expect(word).to_have_accessible_description(re.compile("^target: what a latency is true for"))
    word.focus()
    page.keyboard.press("Enter")
    expect(meaning).to_be_visible()
    expect(meaning).to_be_in_viewport(ratio=1)
    if scripts:
        watched.check_accessible()
        watched.check_fits()
    page.keyboard.press("Escape")
    expect(meaning).to_be_hidden()


def test_a_newcomer_points_at_a_word(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    open_table(watched, farm.MODELS[1])
    page.get_by_role("button", name="target", exact=True).hover()
    expect(page.locator("#word-target")).to_be_visible()
    page.mouse.move(5, 5)
    expect(page.locator("#word-target")).to_be_hidden()


def test_what_is_explained_stays_open_while_a_page_is_live(open_page: Open, site: Site) -> None:
    watched = open_page()
    page = watched.page
    watched.go("/")
    page.get_by_role("button", name="Resting").click()
    devices = page.locator("#farm-figures dd").nth(1)
    before = devices.inner_text()
    site.api.register(integration_farm.registration("one more", "Pixel 2"))
    expect(devices).not_to_have_text(before)
    expect(page.locator("#word-rest")).to_be_visible()
