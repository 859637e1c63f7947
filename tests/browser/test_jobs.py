"""Filing a job and watching it to its end, with scripts and without."""

from __future__ import annotations

import json
import tomllib

import pytest
from playwright.sync_api import FilePayload, expect

from netspec.spaces import Space
from tests.browser.farm import windows_so_far, without_pause
from tests.browser.test_pages import DIFFERENT_IN_THE_DARK, NARROW
from tests.browser.watching import Open, Site, Watched
from tests.integration.profiler_server import farm

RECIPE = """[space]
input_size = 32
width = 0.5
classes = 10
kernels = [3, 5]
stages = [{ channels = 24, depth = 2, stride = 2 }]
"""


def file_job(watched: Watched, target_id: str, name: str, channels: int) -> str:
    """Answers the form's questions and sends it; the job's id."""
    page = watched.page
    watched.go("/jobs")
    page.get_by_role("link", name="File a job").first.click()
    page.get_by_label("Target", exact=True).select_option(target_id)
    page.get_by_role("button", name="Next: what").click()
    page.get_by_role("radio", name="Operators, networks or models").check()
    operators = [one.model_dump(mode="json") for one in farm.blocks(2, channels=channels)]
    page.get_by_label("JSON object, instead of the file").fill(json.dumps({"operators": operators}))
    page.get_by_role("button", name="Next: how").click()
    page.get_by_label("int8").uncheck()
    page.get_by_label("Rounds").fill("2")
    page.get_by_label("Priority").fill("5")
    page.get_by_role("button", name="Next: check").click()
    page.get_by_label("Name of the job").fill(name)
    page.get_by_role("button", name="File the job").click()
    expect(page.locator("h1")).to_have_text(name)
    return page.url.rpartition("/")[2]


def a_phone_of_its_own(site: Site, serial: str) -> tuple[str, str]:
    """A new device and its target, which no other test has work for."""
    device = site.api.register(farm.registration(serial, f"Model of {serial}"))
    return device.id, device.target_ids[0]


def test_a_job_is_watched_to_its_end(open_page: Open, site: Site) -> None:
    device, target_id = a_phone_of_its_own(site, "watched")
    watched = open_page()
    page = watched.page
    job_id = file_job(watched, target_id, "watched", 56)
    progress = page.locator("#job-progress")
    expect(progress).to_contain_text("queued")
    page.evaluate("window.stayed = true")
    lease = site.api.claim(device)
    site.api.upload(farm.visits(lease, device, rounds=1))
    expect(progress).to_contain_text("running")
    expect(progress).to_contain_text("2 of 4, 50 %")
    expect(page.get_by_role("status")).to_have_text("running, 50 % of the visits are stored")
    # Its agent goes on: else the page says that no device serves the job.
    site.api.call("POST", f"/v1/leases/{lease.id}:renew", {"fence": lease.fence})
    expect(progress).to_contain_text("about")
    watched.check_accessible()
    site.api.upload(farm.visits(lease, device, rounds=1))
    expect(progress).to_contain_text("done")
    expect(progress).to_contain_text("4 of 4, 100 %")
    expect(page.get_by_role("button", name="Cancel the job")).to_have_count(0)
    # All of that came as events: nobody loaded the page again.
    assert page.evaluate("window.stayed") is True
    assert site.api.job(job_id).state == "done"


def test_a_job_is_filed_and_followed_without_scripts(open_page: Open, site: Site) -> None:
    device, target_id = a_phone_of_its_own(site, "plain")
    watched = open_page(java_script_enabled=False)
    page = watched.page
    job_id = file_job(watched, target_id, "plain", 64)
    site.api.upload(farm.visits(site.api.claim(device), device, rounds=1))
    expect(page.locator("#job-progress")).to_contain_text("queued")
    page.get_by_role("link", name="Reload").click()
    expect(page.locator("#job-progress")).to_contain_text("2 of 4, 50 %")
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job-progress")).to_contain_text("cancelled")
    assert site.api.job(job_id).state == "cancelled"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_researcher_sees_what_a_job_comes_to_before_filing_it(
    open_page: Open, site: Site, *, scripts: bool
) -> None:
    """A recipe by upload; what was typed for another alternative is not ignored."""
    _, target_id = a_phone_of_its_own(site, f"comes to {scripts}")
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    watched.go(f"/jobs/new?target_id={target_id}")
    expect(page.get_by_label("Target", exact=True)).to_have_value(target_id)
    expect(page.get_by_label("Labels of devices")).to_be_hidden()
    page.get_by_role("button", name="Next: what").click()
    page.get_by_label("Input size (px)").fill("large")
    page.get_by_role("button", name="Next: how").click()
    expect(page.get_by_role("alert")).to_contain_text("Input size: expected a whole number")
    expect(page.get_by_label("Input size (px)")).to_have_value("large")
    page.get_by_role("radio", name="The space of a recipe").check()
    expect(page.get_by_label("Input size (px)")).to_be_hidden()
    recipe = FilePayload(name="mine.toml", mimeType="text/plain", buffer=RECIPE.encode())
    page.get_by_label("A recipe of search-client as a file").set_input_files(recipe)
    if scripts:
        expect(page.get_by_text("Not used: Input size (px).")).to_be_visible()
    else:
        page.get_by_role("button", name="Next: how").click()
        expect(page.get_by_role("alert")).to_contain_text("but “Input size (px)” is filled in")
        # A browser forgets the file; what it held was kept.
        assert page.locator("#recipe").input_value() == RECIPE
        # Where it is not chosen, what is filled in is shown all the same.
        page.get_by_label("Input size (px)").fill("")
    page.get_by_role("button", name="Next: how").click()
    page.get_by_label("Rounds").fill("3")
    page.get_by_role("button", name="Next: check").click()
    figures = page.locator(".figures")
    operators = 2 * len(Space.model_validate(tomllib.loads(RECIPE)["space"]).operators())
    expect(figures).to_contain_text(f"Operators {operators}", use_inner_text=True)
    expect(figures).to_contain_text(f"Visits to make {3 * operators}", use_inner_text=True)
    expect(figures).to_contain_text("about")
    expect(page.locator("main")).to_contain_text("on 1 device:")
    if scripts:
        watched.check_accessible()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_label("Rounds")).to_have_value("3")
    page.get_by_role("button", name="Next: check").click()
    page.get_by_role("button", name="File the job").click()
    expect(page.locator("h1")).to_have_text("space of a recipe")
    # The browser reports answers like 422 on its console.
    assert [one for one in watched.complaints if "422" not in one] == []
    watched.complaints.clear()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_place_that_there_is_not_is_said_at_once(
    open_page: Open, site: Site, *, scripts: bool
) -> None:
    """As it is typed with scripts, else with the question's answer."""
    serial = f"place {scripts}"
    _, target_id = a_phone_of_its_own(site, serial)
    watched = open_page(java_script_enabled=scripts, viewport=NARROW)
    page = watched.page
    watched.go(f"/jobs/new?target_id={target_id}")
    if scripts:
        expect(page.get_by_text("1 device of this target.")).to_be_visible()
    page.get_by_role("radio", name="On all devices with certain labels").check()
    page.get_by_label("Labels of devices").fill("rack=none")
    if scripts:
        expect(page.get_by_text("Not used: Target.")).to_be_visible()
    else:
        page.get_by_role("button", name="Next: what").click()
        expect(page.get_by_role("alert")).to_contain_text("but “Target” is filled in")
        page.get_by_label("Target", exact=True).select_option("")
        page.get_by_role("button", name="Next: what").click()
    why = page.get_by_text("No device has rack=none; there are ")
    expect(why).to_be_visible()
    watched.check_fits()
    if scripts:
        watched.check_accessible()
    page.get_by_label("Labels of devices").fill("rack=1")
    if scripts:
        expect(page.get_by_text("devices of 2 targets: Pixel 1")).to_be_visible()
    page.get_by_role("button", name="Next: what").click()
    expect(page.get_by_text("What is to be measured?")).to_be_visible()
    watched.complaints[:] = [one for one in watched.complaints if "422" not in one]


@pytest.mark.parametrize("scripts", [True, False])
def test_a_researcher_has_energy_measured(open_page: Open, site: Site, *, scripts: bool) -> None:
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    watched.go(f"/jobs/new?target_id={farm.identity('Pixel 8').id}")
    page.get_by_role("button", name="Next: what").click()
    page.get_by_label("Space", exact=True).select_option("cifar")
    page.get_by_label("Input size (px)").fill("32")
    page.get_by_label("Width multiplier").fill("0.5")
    page.get_by_role("button", name="Next: how").click()
    page.get_by_label("Rounds (visits").fill("3")
    page.get_by_role("radio", name="Energy of an inference").check()
    if scripts:
        expect(page.get_by_text("Not used: Rounds (visits of each subject).")).to_be_visible()
        watched.check_accessible()
    else:
        page.get_by_role("button", name="Next: check").click()
        expect(page.get_by_role("alert")).to_contain_text("“Rounds (visits of each subject)”")
        page.get_by_label("Rounds (visits").fill("10")
    page.get_by_label("Windows (of each").fill("6")
    page.get_by_label("Seconds of a window").fill("2.5")
    page.get_by_role("button", name="Next: check").click()
    main = page.locator("main")
    expect(main).to_contain_text("6 rounds of windows of at least 2.5 s")
    expect(page.locator(".figures")).to_contain_text("Measurements to make")
    page.get_by_label("Name of the job").fill(f"energy {scripts}")
    page.get_by_role("button", name="File the job").click()
    expect(page.locator("h1")).to_have_text(f"energy {scripts}")
    site.api.call("POST", f"/v1/jobs/{page.url.rpartition('/')[2]}:cancel")
    watched.complaints[:] = [one for one in watched.complaints if "422" not in one]


def test_a_researcher_files_a_job_from_a_phone(open_page: Open, site: Site) -> None:
    _, target_id = a_phone_of_its_own(site, "narrow")
    watched = open_page(viewport=NARROW)
    page = watched.page
    watched.go(f"/jobs/new?target_id={target_id}")
    for step in ("what", "how", "check"):
        following = page.get_by_role("button", name=f"Next: {step}")
        expect(following).to_be_visible()
        watched.check_fits()
        watched.check_accessible(only=DIFFERENT_IN_THE_DARK)
        following.click()
    expect(page.get_by_label("Name of the job")).to_have_value("space proxylessnas")
    watched.check_fits()


def test_signing_out_closes_the_dashboard(open_page: Open, site: Site) -> None:
    # In a session of its own: that of the other tests goes on.
    watched = open_page(sign_in=False)
    watched.sign_in(site.token)
    watched.page.get_by_role("button", name="Sign out").click()
    expect(watched.page.get_by_role("heading", name="Sign in")).to_be_visible()
    watched.page.goto(f"{watched.base}/jobs")
    expect(watched.page.get_by_role("heading", name="Sign in")).to_be_visible()
    watched.complaints.clear()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_researcher_watches_a_phone_slow_down_while_it_runs(
    open_page: Open, site: Site, *, scripts: bool
) -> None:
    """With scripts windows come by themselves, without them by a click."""
    api = site.api
    model = f"warm {scripts}.tflite"
    device, job = without_pause(api, f"warm {scripts}", f"Model of warm {scripts}", model)
    lease = api.claim(device)
    watched = open_page(java_script_enabled=scripts, viewport=NARROW)
    page = watched.page
    watched.go(f"/jobs/{job.id}")
    progress = page.locator("#job-progress")
    expect(progress).to_contain_text(f"{model} is to run 3 min")
    for count, last, ran in ((3, "900 us", "30 s"), (12, "1.06 ms", "2 min")):
        windows_so_far(api, lease, count, are_first=count == 3)
        if not scripts:
            page.get_by_role("link", name="Reload").click()
        expect(progress).to_contain_text(f"Has run {ran} of 3 min", use_inner_text=True)
        expect(progress).to_contain_text(f"Last window {last}", use_inner_text=True)
    expect(progress).to_contain_text("Throttles after 80 s", use_inner_text=True)
    expect(page.get_by_role("img", name="Median latency of 12 windows")).to_be_visible()
    watched.check_fits()
    if scripts:
        watched.check_accessible()
