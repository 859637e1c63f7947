"""Filing a job and watching it to its end, with scripts and without."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.browser.watching import Open, Site, Watched
from tests.integration.profiler_server import farm


def file_job(watched: Watched, target_id: str, name: str, channels: int) -> str:
    """Fills and sends the form, once wrong and once right; the job's id."""
    page = watched.page
    watched.go("/jobs")
    page.get_by_role("link", name="File a job").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Target", exact=True).select_option(target_id)
    page.get_by_role("radio", name="Operators, networks or models").check()
    operators = [one.model_dump(mode="json") for one in farm.blocks(2, channels=channels)]
    page.get_by_label("JSON object").fill(json.dumps({"operators": operators}))
    page.get_by_label("int8").uncheck()
    page.get_by_label("Rounds").fill("2")
    page.get_by_label("Priority").fill("5")
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


def test_what_is_wrong_in_the_form_is_said_and_can_be_mended(open_page: Open, site: Site) -> None:
    _, target_id = a_phone_of_its_own(site, "mended")
    watched = open_page(java_script_enabled=False)
    page = watched.page
    watched.go(f"/jobs/new?target_id={target_id}")
    page.get_by_label("Name", exact=True).fill("mended")
    page.get_by_label("Input size (px)").fill("large")
    page.get_by_role("button", name="File the job").click()
    expect(page.get_by_role("alert")).to_contain_text("input_size: expected a whole number")
    expect(page.get_by_label("Name", exact=True)).to_have_value("mended")
    page.get_by_label("Input size (px)").fill("32")
    page.get_by_role("button", name="File the job").click()
    expect(page.locator("h1")).to_have_text("mended")
    # The browser reports answers like 422 on its console.
    assert [one for one in watched.complaints if "422" not in one] == []
    watched.complaints.clear()


def test_signing_out_closes_the_dashboard(open_page: Open) -> None:
    watched = open_page()
    watched.page.get_by_role("button", name="Sign out").click()
    expect(watched.page.get_by_role("heading", name="Sign in")).to_be_visible()
    watched.page.goto(f"{watched.base}/jobs")
    expect(watched.page.get_by_role("heading", name="Sign in")).to_be_visible()
    watched.complaints.clear()
