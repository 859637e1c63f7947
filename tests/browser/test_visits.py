"""What a visit and a model tell."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import farm
from tests.browser.test_pages import NARROW
from tests.browser.watching import Open


@pytest.mark.parametrize("scripts", [True, False])
def test_a_researcher_judges_a_visit(open_page: Open, *, scripts: bool) -> None:
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    watched.go("/")
    page.get_by_role("link", name=farm.DAY_SERIAL, exact=True).click()
    page.get_by_text("Why visits were rejected").click()
    page.get_by_role("listitem").filter(has_text="others took 40%").get_by_role(
        "link"
    ).first.click()
    expect(page.get_by_role("img", name="Histogram of 300 runs")).to_be_visible()
    expect(page.get_by_role("img", name="300 runs in their order")).to_be_visible()
    table = page.get_by_role("region", name="Conditions against the protocol's limits")
    taken = table.get_by_role("row", name="Cores taken by others")
    expect(taken).to_contain_text("40 %")
    expect(taken).to_contain_text("at most 25 % before")
    expect(taken).to_contain_text("no")
    expect(table.get_by_role("row", name="CPU temperature")).to_contain_text("no limit")
    raw = page.get_by_role("region", name="Raw output")
    expect(raw).to_be_hidden()
    page.get_by_text("What the runner printed").click()
    expect(raw).to_contain_text("runs_ns")
    if scripts:
        watched.check_accessible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_researcher_sees_where_the_time_of_a_model_goes(open_page: Open, scheme: str) -> None:
    watched = open_page(color_scheme=scheme, viewport=NARROW)
    page = watched.page
    watched.go("/jobs")
    page.get_by_role("link", name="latency of mine.tflite").click()
    page.get_by_role("region", name="Latencies").get_by_role("link", name="mine.tflite").click()
    expect(page.locator("h1")).to_have_text("mine.tflite")
    main = page.locator("main")
    for told in ("4.10 ms", "9.30 ms", "runs the whole graph"):
        expect(main).to_contain_text(told)
    kinds = page.get_by_role("region", name="Share by kind of layer")
    expect(kinds.get_by_role("row", name="Convolution")).to_contain_text("90.0 %")
    page.get_by_text("Each of the 3 layers").click()
    expect(page.get_by_role("region", name="Each layer").get_by_role("row")).to_have_count(4)
    watched.check_fits()
    watched.check_accessible()
