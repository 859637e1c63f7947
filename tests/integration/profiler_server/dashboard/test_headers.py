from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from profiler_server.dashboard import assets
from tests.integration.profiler_server.dashboard.visitor import LOCAL, Page, Visitor
from tests.integration.profiler_server.service import Api

PAGES = ["/", "/jobs", "/jobs/new", "/login", "/nothing", "/jobs/nothing"]
pytestmark = pytest.mark.one_database


@pytest.mark.parametrize("path", [*PAGES, "/static/dashboard.css", "/plotly/plotly.min.js"])
def test_every_answer_tells_the_browser_what_not_to_do(admin: Visitor, path: str) -> None:
    headers = admin.http.get(f"/dashboard{path}").headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "X-Request-Id" in headers


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_not_kept(admin: Visitor, path: str) -> None:
    assert admin.http.get(f"/dashboard{path}").headers["Cache-Control"] == "no-store"


def test_files_are_kept_under_the_address_of_their_content(visitor: Visitor) -> None:
    for name in ("dashboard.css", "live.js", "icon.svg", "plotly.min.js"):
        address = f"/dashboard{assets.address(name)}"
        answer = visitor.http.get(address)
        assert "immutable" in answer.headers["Cache-Control"]
        again = visitor.http.get(address, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
        plain = visitor.http.get(address.partition("?")[0])
        assert plain.headers["Cache-Control"] == "no-cache"


def test_of_plotly_only_its_script_is_served(visitor: Visitor) -> None:
    for path in ("/plotly/datasets/iris.csv.gz", "/plotly/", "/plotly/../x", "/static/../app.py"):
        assert visitor.http.get(f"/dashboard{path}").status_code == 404


def test_below_a_proxys_own_address_every_link_leads_there(api: Api) -> None:
    visitor = Visitor(api.http.app)  # type: ignore[attr-defined]
    visitor.http = TestClient(visitor.http.app, base_url=LOCAL, root_path="/lab")
    answer = visitor.http.get("/lab/dashboard/nothing")
    assert answer.status_code == 404
    assert set(Page(answer).links) == {"#main", "/lab/dashboard/"}
    assert '<link rel="stylesheet" href="/lab/dashboard/static/dashboard.css?v=' in answer.text


def test_an_address_without_page_says_so(admin: Visitor) -> None:
    page = admin.get("/nothing", status=404)
    assert "There is no such page" in page.text
    assert "/dashboard/jobs" in page.links
    # An id that can be none is that of nothing, and no page shows what ids are like.
    page = admin.get("/targets/ffff", status=404)
    assert "There is no such page" in page.text
    assert "/dashboard/jobs" in page.links
    # Below files, links still lead to the dashboard.
    assert "/dashboard/" in admin.get("/static/nothing.css", status=404).links


def test_a_failure_of_the_server_is_a_page(admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("profiler_server.dashboard.views.farm.read", broken)
    page = admin.get("/", status=500)
    assert "The server's log says why" in page.text
    assert "secret" not in page.html


def test_pages_have_figures_of_their_own(admin: Visitor) -> None:
    admin.get("/jobs/nothing", status=404)
    admin.http.get("/v1/jobs/nothing")
    figures = admin.http.get("/metrics").text
    assert 'route="/dashboard/jobs/{job_id}",status="404"' in figures
    assert 'route="/v1/jobs/{job_id}",status="401"' in figures
