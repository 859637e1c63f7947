"""What a reviewer reads of a search, and a researcher of many: pages without a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from search_client.report.page import render_page
from search_client.report.runs import ComparedRuns, RunNetwork, hypervolume, with_front
from search_client.report.runs_page import render_runs
from tests.browser.test_pages import NARROW, WIDE
from tests.browser.watching import Watched
from tests.unit.search_client.report import synthetic

_RUNS = 60
OpenFile = Callable[..., Watched]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a search, and a comparison of sixty."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "report.html").write_text(render_page(synthetic.report()), encoding="utf-8")
    networks = [_network(number) for number in range(_RUNS)]
    baseline = _network(0).model_copy(
        update={"role": "MobileNetV2", "network": "mobilenet", "runs": ("run 1", "run 2")}
    )
    compared = ComparedRuns(
        target="0123456789abcdef",
        label="Synthetic phone",
        precision="int8",
        networks=with_front([*networks, baseline]),
        hypervolume=hypervolume([*networks, baseline], 10),
    )
    (folder / "runs.html").write_text(render_runs(compared), encoding="utf-8")
    return folder


def _network(number: int) -> RunNetwork:
    """The slower, the more accurate, but for every third."""
    ms, accuracy = 0.1 + number / 200, 0.5 + number / 200 - (0.1 if number % 3 else 0.0)
    return RunNetwork(
        runs=(f"run {number}",),
        role="searched",
        network=f"net {number}",
        accuracy=accuracy,
        accuracy_low=accuracy - 0.01,
        accuracy_high=accuracy + 0.01,
        predicted_ms=1.02 * ms,
        measured_ms=ms,
        measured_low_ms=0.99 * ms,
        measured_high_ms=1.01 * ms,
    )


@pytest.fixture
def open_file(browser: Browser, files: Path) -> Iterator[OpenFile]:
    """Opens one of the pages; at the end of the test their consoles must be empty."""
    with ExitStack() as stack:
        pages = []

        def make(name: str, **options: object) -> Watched:
            context = stack.enter_context(browser.new_context(**options))  # type: ignore[arg-type]
            watched = Watched(context, files.as_uri())
            pages.append(watched)
            watched.page.goto(f"{watched.base}/{name}")
            return watched

        yield make
        assert [complaint for watched in pages for complaint in watched.complaints] == []


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
    expect(table.locator("tbody tr")).to_have_count(_RUNS + 1)
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
    assert beaten.count() > _RUNS // 2
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
