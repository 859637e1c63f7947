"""From the list of targets down to a visit, as people go, with scripts and without."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import farm
from tests.browser.test_pages import NARROW
from tests.browser.watching import Open, Watched

_TRANSPARENT = "rgba(0, 0, 0, 0)"


def open_table(watched: Watched, model: str) -> None:
    watched.go("/targets")
    watched.page.get_by_role("link", name=model, exact=True).click()
    expect(watched.page.locator("h1")).to_have_text(model)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_table_leads_to_an_entry_and_its_visits(open_page: Open, *, scripts: bool) -> None:
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    open_table(watched, farm.MODELS[1])
    heat = page.locator("td[class^=heat]")
    # a fixed block, and a row for each of the searched shapes
    shapes = {block.candidates[0] for block in farm.SPACE.blocks}
    assert heat.count() == 1 + 6 * len(shapes)
    page.get_by_label("Kernel").select_option("5")
    page.get_by_label("Precision").select_option("int8")
    page.get_by_role("button", name="Filter").click()
    expect(heat).to_have_count(2 * len(shapes))
    expect(page.get_by_label("Kernel")).to_have_value("5")
    expect(page.get_by_role("columnheader", name="k5 e6")).to_be_visible()
    heat.first.get_by_role("link").click()
    expect(page.locator("h1")).to_contain_text("kernel 5")
    expect(page.get_by_role("region", name="What each device says")).to_contain_text("HT710")
    page.get_by_role("region", name="Visits").get_by_role("link").first.click()
    page.get_by_text("What the runner printed").click()
    expect(page.get_by_role("region", name="Raw output")).to_have_text("5 runs")


def test_colours_differ_and_numbers_stand_in_them(open_page: Open) -> None:
    for scheme in ("light", "dark"):
        watched = open_page(color_scheme=scheme)
        open_table(watched, farm.MODELS[0])
        colours = watched.page.eval_on_selector_all(
            "td[class^=heat]", "all => all.map(one => getComputedStyle(one).backgroundColor)"
        )
        assert len(set(colours)) > 2
        assert _TRANSPARENT not in colours
        texts = watched.page.locator("td[class^=heat]").all_inner_texts()
        assert all(text.strip("≠≈").replace(".", "").isdigit() for text in texts)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_researcher_compares_two_phones_by_their_names(open_page: Open, *, scripts: bool) -> None:
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    open_table(watched, farm.MODELS[0])
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_role("checkbox", name=farm.MODELS[0])).to_be_checked()
    page.get_by_role("checkbox", name=farm.MODELS[1]).check()
    page.get_by_role("button", name="Compare").click()
    ratios = page.get_by_role("region", name="Ratios by precision")
    # the second model takes twice as long
    expect(ratios.get_by_role("row").filter(has_text="float32")).to_contain_text("2.00")
    expect(page.get_by_role("region", name="Controlled variables that differ")).to_contain_text(
        "device model"
    )
    plot = page.get_by_role("img", name=f"{farm.MODELS[1]} over {farm.MODELS[0]}, int8")
    expect(plot).to_be_visible()
    folded = page.get_by_text("differ by less than 2 % from the median").first
    folded.click()
    expect(
        page.get_by_role("region", name=f"As the median, {farm.MODELS[1]}, float32")
    ).to_be_visible()


def test_a_researcher_finds_a_phone_and_takes_its_table_along(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    watched.go("/targets")
    page.get_by_label("Model, SoC, runtime, label").fill("pixel 8 xnnpack")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("region", name="Targets").get_by_role("link")).to_have_count(1)
    page.get_by_role("link", name=farm.MODELS[1], exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    assert download.value.suggested_filename.endswith(".csv")
    rows = download.value.path().read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 2 * len(set(farm.SPACE.operators()))
    expect(page.get_by_role("region", name="The table in Python")).to_contain_text('client.table("')


@pytest.mark.parametrize("scripts", [True, False])
def test_a_researcher_asks_which_phone_suits_a_network(open_page: Open, *, scripts: bool) -> None:
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    watched.go("/comparison")
    page.get_by_role("link", name="Which target for one network").click()
    page.get_by_label("Network or model").fill("net 3")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="net 3").first.click()
    rows = page.get_by_role("region", name="Targets, the fastest first").get_by_role("row")
    expect(rows.nth(1)).to_contain_text(farm.MODELS[0])
    expect(rows.nth(2)).to_contain_text(farm.MODELS[1])
    expect(rows.nth(2)).to_contain_text(" 2.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_comparison_and_ranking_are_accessible_and_fit(
    open_page: Open, width: int, scheme: str
) -> None:
    watched = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = watched.page
    watched.go("/comparison")
    for model in farm.MODELS:
        page.get_by_role("checkbox", name=model).check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("svg.scatter").first).to_be_visible()
    watched.check_accessible()
    watched.check_fits()
    watched.go("/ranking?text=net")
    page.get_by_role("link", name="net 3").first.click()
    watched.check_accessible()
    watched.check_fits()


def test_the_calibrations_error_stands_beside_its_networks(open_page: Open) -> None:
    watched = open_page()
    open_table(watched, farm.MODELS[0])
    watched.page.get_by_role("link", name="Networks", exact=True).click()
    errors = watched.page.get_by_role("region", name="Error of predictions by precision")
    expect(errors.get_by_role("row", name="int8")).to_contain_text("%")
    # At 1280 px all of it is seen.
    assert errors.evaluate("one => one.scrollWidth <= one.clientWidth")
    # Some MB of script on a busy machine.
    expect(watched.page.locator("figure.plot .main-svg").first).to_be_visible(timeout=15_000)
    expect(watched.page.get_by_role("region", name="Networks in int8")).to_contain_text("net 3")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_lab_operator_learns_why_a_latency_is_not_in_the_table(
    open_page: Open, *, scripts: bool
) -> None:
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    open_table(watched, farm.LEFT_OUT_MODEL)
    page.get_by_role("link", name="Left out").first.click()
    held = page.get_by_role("region", name="Entries held back")
    expect(held.get_by_role("row").nth(1)).to_contain_text("HT40")
    expect(held.get_by_role("row").nth(1)).to_contain_text("HT41")
    expect(page.get_by_role("heading", name="it lay in the sun")).to_be_visible()
    expect(page.locator("main")).to_contain_text("9 visits of 3 subjects, taken back by")
    expect(page.locator("main")).to_contain_text("Chosen: those of device HT42")
    held.get_by_role("link", name="MBConv").first.click()
    expect(page.get_by_role("alert")).to_contain_text("held back: its devices disagree")


def test_fields_of_operators_stand_below_their_names_and_beside_each_other(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    open_table(watched, farm.MODELS[0])
    page.get_by_role("link", name="By field", exact=True).click()
    page.get_by_label("Kind").select_option("mbconv")
    page.get_by_role("button", name="Show").click()
    table = page.get_by_role("region", name="Latency by field")
    # At 1280 px all of it is seen.
    assert table.evaluate("one => one.scrollWidth <= one.clientWidth")
    left = "all => all.map(one => one.getBoundingClientRect().left)"
    heads = table.locator("thead th.rows-by").evaluate_all(left)
    assert heads == table.locator("tbody tr").first.locator("th").evaluate_all(left)
    aligned = "all => all.map(one => getComputedStyle(one).textAlign)"
    assert set(table.locator("th.rows-by").evaluate_all(aligned)) == {"left"}
    page.set_viewport_size({"width": 390, "height": 800})
    table.evaluate("one => { one.scrollLeft = 60 }")
    lefts = table.locator("tbody tr").first.locator("th").evaluate_all(left)
    assert len(set(lefts)) == len(lefts)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_researcher_sees_what_blocks_take_and_not_only_how_long(
    open_page: Open, *, scripts: bool
) -> None:
    watched = open_page(java_script_enabled=scripts, viewport=NARROW)
    page = watched.page
    open_table(watched, farm.ENERGY_MODEL)
    latencies = page.locator("td[class^=heat]").all_inner_texts()
    page.get_by_label("Quantity").select_option("energy")
    page.get_by_role("button", name="Filter").click()
    table = page.get_by_role("region", name="Energy of blocks by shape and candidate")
    expect(table).to_contain_text(f"uJ, by {farm.METER.name}")
    energies = page.locator("td[class^=heat]").all_inner_texts()
    assert len(energies) == len(latencies)
    assert energies != latencies
    watched.check_fits()
    if scripts:
        watched.check_accessible()
    open_table(watched, farm.MODELS[0])
    expect(page.get_by_label("Quantity")).to_have_count(0)
