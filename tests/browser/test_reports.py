"""What a reviewer reads of a search, and a researcher of many: pages without a server."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.reports import RUNS
from tests.browser.test_pages import NARROW, WIDE
from tests.browser.watching import OpenFile


@pytest.mark.parametrize("scripts", [True, False])
def test_a_reviewer_reads_whether_a_search_kept_its_promise(
    open_file: OpenFile, *, scripts: bool
) -> None:
    page = open_file("report.html", java_script_enabled=scripts).page
    result = page.get_by_role("region", name="Every network as the files")
    searched = result.get_by_role("row").filter(has_text="searched").first
    # Wilson's interval of 94.5 % on 2,000 images
    expect(searched).to_contain_text("94.5 %[93.4, 95.4]")
    expect(page.locator("#search")).to_contain_text("the likeliest network")
    page.get_by_role("link", name="Predicted and measured").click()
    expect(page.get_by_role("heading", name="Predicted and measured")).to_be_in_viewport()
    expect(page.locator("#prediction figure svg")).to_have_count(2)
    networks = page.get_by_role("region", name="The calibration networks")
    expect(networks).to_be_hidden()
    page.get_by_text("The calibration networks").click()
    expect(networks).to_be_visible()
    expect(networks.get_by_role("columnheader", name="Held out")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_reviewer_finds_what_makes_the_run_again(open_file: OpenFile, *, scripts: bool) -> None:
    page = open_file("report.html", java_script_enabled=scripts).page
    page.get_by_role("link", name="Provenance").click()
    facts = page.locator("#provenance")
    for told in ("search-client search --data images --run runs/one", "78" * 8, "12"):
        expect(facts).to_contain_text(told)
    recipe = page.get_by_role("region", name="The recipe")
    expect(recipe).to_be_hidden()
    page.get_by_text("The recipe, with every setting").click()
    expect(recipe).to_contain_text('"precision": "int8"')


def test_a_researcher_finds_the_most_accurate_of_sixty_runs(open_file: OpenFile) -> None:
    page = open_file("runs.html").page
    rows = page.get_by_role("region", name="Fastest first").locator("tbody tr")
    expect(rows.first).to_contain_text("net 0")
    accuracy = page.get_by_role("columnheader", name="Top-1")
    accuracy.get_by_role("button").click()
    expect(accuracy).to_have_attribute("aria-sort", "ascending")
    accuracy.get_by_role("button").press("Enter")
    expect(accuracy).to_have_attribute("aria-sort", "descending")
    expect(rows.first).to_contain_text("net 57")
    page.get_by_role("columnheader", name="No.").get_by_role("button").click()
    expect(rows.first).to_contain_text("net 0")


def test_without_scripts_sixty_runs_stand_fastest_first(open_file: OpenFile) -> None:
    page = open_file("runs.html", java_script_enabled=False).page
    table = page.get_by_role("region", name="Fastest first")
    expect(table.get_by_role("button")).to_have_count(0)
    expect(table.locator("tbody tr")).to_have_count(RUNS + 1)
    page.get_by_text("2 runs", exact=True).click()
    expect(table).to_contain_text("run 1, run 2")
    volumes = page.get_by_role("region", name="Hypervolume")
    expect(volumes.get_by_role("row", name="searched networks")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_researcher_numbers_every_network_of_the_front_when_asked(
    open_file: OpenFile, *, scripts: bool
) -> None:
    page = open_file("runs.html", java_script_enabled=scripts).page
    beaten = page.locator('[id^="front-number-beaten-"]')
    assert beaten.count() > RUNS // 2
    expect(beaten.first).to_be_hidden()
    page.get_by_label("Number every network").check()
    expect(beaten.first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", ["report.html", "runs.html"])
def test_reports_are_accessible_and_fit(
    open_file: OpenFile, name: str, size: dict[str, int], scheme: str
) -> None:
    watched = open_file(name, viewport=size, color_scheme=scheme)
    for summary in watched.page.locator("summary").all():
        summary.click()
    watched.check_accessible()
    watched.check_fits()
