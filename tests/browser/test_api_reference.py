"""The page of the API, as an installed server has it."""

from __future__ import annotations

from playwright.sync_api import expect

from profiler_server.dashboard.headers import POLICY
from tests.browser.watching import Open, Site


def test_a_developer_reads_the_api_without_anything_from_elsewhere(
    open_page: Open, site: Site
) -> None:
    watched = open_page(sign_in=False)
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    server = site.base.removesuffix("/dashboard")
    answer = watched.page.goto(f"{server}/docs")
    assert answer is not None
    assert answer.headers["content-security-policy"] == POLICY
    expect(watched.page.get_by_role("heading", name="profiler-server")).to_be_visible()
    expect(watched.page.get_by_role("link", name="/v1/jobs", exact=True).first).to_be_visible()
    assert {url.split("?")[0].partition("/dashboard/")[0] for url in asked} <= {
        server,
        f"{server}/docs",
        f"{server}/openapi.json",
    }


def test_without_javascript_there_is_the_document(open_page: Open, site: Site) -> None:
    watched = open_page(sign_in=False, java_script_enabled=False)
    watched.page.goto(f"{site.base.removesuffix('/dashboard')}/docs")
    link = watched.page.get_by_role("link", name="the OpenAPI document")
    expect(link).to_have_attribute("href", "openapi.json")
