"""What somebody who looks after phones wants to know, and does."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.browser import farm as shown_farm
from tests.browser.test_pages import DIFFERENT_IN_THE_DARK, NARROW
from tests.browser.watching import Open, Site
from tests.integration.profiler_server import farm


@pytest.mark.parametrize("scripts", [True, False])
def test_a_lab_operator_finds_out_why_a_job_does_not_start(
    open_page: Open, site: Site, *, scripts: bool
) -> None:
    """From the farm to the job, to the device that is to blame, and on."""
    serial = f"blamed {scripts}"
    device = site.api.register(farm.registration(serial, f"Model of {serial}"))
    job = site.api.file(
        farm.job(farm.blocks(1), name=f"waits for {serial}", target_id=device.target_ids[0])
    )
    reason = {"reason": "a swollen battery"}
    site.api.call("POST", f"/v1/devices/{device.id}:quarantine", reason)
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    watched.go("/")
    notice = page.locator("#farm-waiting")
    expect(notice).to_contain_text("Work waits for devices that do not come")
    notice.get_by_role("link", name=job.name).click()
    expect(page.locator("#unserved")).to_contain_text(f"No device serves Model of {serial}")
    expect(page.locator("#unserved")).to_contain_text("is in quarantine (a swollen battery)")
    watched.go("/jobs")
    expect(page.get_by_role("row", name=job.name)).to_contain_text("no device serves it")
    page.get_by_role("link", name=job.name).click()
    page.locator("#unserved").get_by_role("link", name=serial).click()
    expect(page.locator("h1")).to_have_text(serial)
    page.get_by_role("button", name="Release from quarantine").click()
    expect(page.locator("#device-standing")).to_contain_text("idle")
    watched.go(f"/jobs/{job.id}")
    expect(page.locator("#unserved")).not_to_contain_text("No device")


def test_a_lab_operator_sees_a_device_come_and_go_without_reloading(
    open_page: Open, site: Site
) -> None:
    watched = open_page()
    page = watched.page
    watched.go("/")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    expect(page.get_by_role("link", name="Reload")).to_be_hidden()
    page.evaluate("window.stayed = true")
    device = site.api.register(farm.registration("comes", "Model of comes"))
    row = page.locator(f"#device-{device.id}")
    expect(row).to_contain_text("idle")
    site.api.file(farm.job(farm.blocks(1), target_id=device.target_ids[0], name="brief"))
    lease = site.api.claim(device.id)
    expect(row).to_contain_text("brief")
    watched.check_accessible()
    # Its agent says nothing any more: two renewals later the page does.
    claimed_at = time.monotonic()
    expect(row).to_contain_text("silent")
    assert time.monotonic() - claimed_at < 16 + 5
    site.api.call("POST", f"/v1/leases/{lease.id}:renew", {"fence": lease.fence})
    expect(row).to_contain_text("measuring")
    assert page.evaluate("window.stayed") is True


def test_a_hidden_page_holds_no_connection(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    page.add_init_script(
        """
        window.opened = 0;
        const Real = EventSource;
        window.EventSource = class extends Real {
          constructor(...given) { super(...given); window.opened += 1; }
          close() { window.opened -= 1; super.close(); }
        };
        """
    )
    watched.go("/")
    assert page.evaluate("window.opened") == 1
    see = """(hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
      return window.opened;
    }"""
    assert page.evaluate(see, True) == 0
    assert page.evaluate(see, False) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_lab_operator_looks_at_a_devices_day_on_a_phone(open_page: Open, scheme: str) -> None:
    watched = open_page(color_scheme=scheme, viewport=NARROW)
    page = watched.page
    watched.go("/")
    page.get_by_role("link", name=shown_farm.DAY_SERIAL, exact=True).click()
    plots = page.get_by_role("img")
    expect(plots).to_have_count(6)
    for name, unit in (("CPU temperature", "°C"), ("Charge", "%"), ("Clock", "MHz")):
        expect(page.get_by_role("img", name=name)).to_be_visible()
        expect(page.get_by_role("region", name=name)).to_contain_text(unit)
    watched.check_fits()
    watched.check_accessible(only=DIFFERENT_IN_THE_DARK)
    page.get_by_text("Why visits were rejected").click()
    expect(page.get_by_text("others took 40% of the measured cores").first).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_lab_operator_labels_a_device_and_takes_it_out(
    open_page: Open, site: Site, *, scripts: bool
) -> None:
    serial = f"labelled {scripts}"
    device = site.api.register(farm.registration(serial, f"Model of {serial}"))
    watched = open_page(java_script_enabled=scripts)
    page = watched.page
    watched.go(f"/devices/{device.id}")
    page.get_by_label("What jobs select devices by").fill("rack")
    page.get_by_role("button", name="Save the labels").click()
    expect(page.get_by_role("alert")).to_contain_text("expected name=value")
    expect(page.get_by_label("What jobs select devices by")).to_have_value("rack")
    page.get_by_label("What jobs select devices by").fill("rack=7\nowner=vision")
    page.get_by_role("button", name="Save the labels").click()
    expect(page.locator("#device-events")).to_contain_text("device labelled")
    page.get_by_text("Put into quarantine").click()
    page.get_by_label("Why, for those who find it so").fill("smells")
    page.get_by_role("button", name="Quarantine it").click()
    expect(page.locator("#device-standing")).to_contain_text("until it is released: smells")
    watched.check_accessible() if scripts else None
    found = site.api.call("GET", f"/v1/devices/{device.id}").json()
    assert found["labels"] == {"rack": "7", "owner": "vision"}
    assert found["quarantine"]["reason"] == "smells"
    # The browser reports the refused labels on its console.
    assert [one for one in watched.complaints if "422" not in one] == []
    watched.complaints.clear()


def test_who_follows_a_wrong_link_reads_words_and_keeps_the_menu(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    for path in ("/targets/ffff", "/jobs/x", "/devices/x", "/nothing", f"/targets/{'0' * 16}"):
        page.goto(watched.base + path)
        text = page.inner_text("main")
        assert not set("`^$[") & set(text), text
        assert "/v1/" not in text
        assert "GET" not in text
        expect(page.get_by_role("navigation", name="Pages").get_by_role("link")).not_to_have_count(
            0
        )
        watched.check_accessible()
    watched.complaints.clear()
