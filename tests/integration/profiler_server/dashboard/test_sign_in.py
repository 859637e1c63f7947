from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from profiler_server.auth import repository, service, tokens
from profiler_server.auth.rows import SessionRow
from profiler_server.auth.scopes import Scope
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api

MakeToken = Callable[..., str]


def app_of(api: Api) -> FastAPI:
    app = api.http.app  # type: ignore[attr-defined]
    assert isinstance(app, FastAPI)
    return app


def app_of_visitor(visitor: Visitor) -> FastAPI:
    app = visitor.http.app
    assert isinstance(app, FastAPI)
    return app


def revoke_last(database: Database) -> None:
    with database.write() as session:
        service.revoke(session, repository.everything(session)[-1].id)


@pytest.mark.one_database
def test_the_servers_own_address_leads_to_the_dashboard(visitor: Visitor) -> None:
    for path in ("/", "/dashboard", "/dashboard/"):
        answer = visitor.http.get(path)
        assert answer.status_code == 401
        assert answer.url.path == "/dashboard/"


def test_signing_in_leads_to_the_page_that_was_asked_for(
    visitor: Visitor, make_token: MakeToken
) -> None:
    page = visitor.sign_in(make_token(Scope.TABLES_READ), "/jobs?x=1&y=2")
    assert page.address == "http://localhost/dashboard/jobs?x=1&y=2"
    assert "No job has been filed yet" in page.text
    assert "Farm" in visitor.get("/").text


def test_signing_out_ends_the_session_here(visitor: Visitor, make_token: MakeToken) -> None:
    page = visitor.sign_in(make_token(Scope.TABLES_READ))
    visitor.post("/logout", status=403)
    assert "Farm" in visitor.get("/").text
    assert visitor.submit(page, "/logout").address == "http://localhost/dashboard/login"
    visitor.get("/", status=401)
    # Once more, from a page that was left open: no error.
    visitor.post("/logout")


@pytest.mark.one_database
def test_a_wrong_token_says_what_is_wrong(visitor: Visitor, make_token: MakeToken) -> None:
    form = visitor.get("/login")
    for token, why in (
        ("", "mistyped"),
        ("nonsense <script>alert(1)</script>", "mistyped"),
        (tokens.new_token(), "has not made it"),
        (make_token(Scope.TABLES_READ, days=0.0), "expired"),
    ):
        page = visitor.submit(form, "/login", {"token": token}, status=401)
        assert why in page.text
        assert "script" not in page.tags
        visitor.get("/", status=401)


@pytest.mark.one_database
def test_next_never_leaves_this_server(visitor: Visitor, make_token: MakeToken) -> None:
    token = make_token(Scope.TABLES_READ)
    for other in ("https://evil.test/", "//evil.test/", "\\\\evil.test", "/../../x", "a\r\nb: c"):
        form = visitor.get("/login")
        hidden = {**form.forms["/dashboard/login"], "next": other, "token": token}
        answer = visitor.http.post("/dashboard/login", data=hidden, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/dashboard/")
        assert "b" not in answer.headers


def test_an_ended_session_is_told_and_forgotten(
    admin: Visitor, make_token: MakeToken, database: Database
) -> None:
    assert "Farm" in admin.get("/").text
    with database.write() as session:
        now = database_now(session)
        session.execute(update(SessionRow).values(ends_at=now))
    assert "The session has ended; sign in again." in admin.get("/", status=401).text
    Visitor(app_of_visitor(admin)).sign_in(make_token(Scope.TABLES_READ))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(SessionRow)) == 1


@pytest.mark.one_database
def test_a_forged_session_is_refused(visitor: Visitor) -> None:
    for forged in ("", "x", "token_1.99999999999.aa.bb", "0" * 64):
        visitor.http.cookies.set("profiler-session", forged)
        visitor.get("/", status=401)


def test_a_copied_cookie_is_worth_nothing_after_signing_out(
    visitor: Visitor, make_api: Callable[..., Api], make_token: MakeToken
) -> None:
    """Nor on another replica."""
    page = visitor.sign_in(make_token(Scope.TABLES_READ))
    thief, elsewhere = Visitor(app_of_visitor(visitor)), Visitor(app_of(make_api()))
    for other in (thief, elsewhere):
        other.http.cookies.update(visitor.http.cookies)
        assert "Farm" in other.get("/").text
    visitor.submit(page, "/logout")
    for other in (thief, elsewhere):
        assert "The session has ended" in other.get("/", status=401).text


def test_sessions_are_listed_and_ended_one_by_one_or_all_at_once(
    visitor: Visitor, make_token: MakeToken
) -> None:
    token = make_token(Scope.TABLES_READ)
    app = app_of_visitor(visitor)
    here, there, stranger = Visitor(app), Visitor(app), Visitor(app)
    here.http.headers["User-Agent"] = "Firefox <script>alert('x')</script>"
    for one in (here, there):
        one.sign_in(token)
    stranger.sign_in(make_token(Scope.TABLES_READ))
    page = here.get("/sessions")
    assert "<script>alert" not in page.html
    assert [row for row in page.rows if "this one" in row and row.startswith("Firefox")]
    (other,) = [row for row in page.rows if row.startswith("testclient")]
    assert other
    ids = re.findall(r"session_[0-9a-f]{16}", page.html)
    assert len(ids) == 2
    hidden = page.forms["/dashboard/sessions/end"]
    foreign = re.findall(r"session_[0-9a-f]{16}", stranger.get("/sessions").html)
    here.post("/sessions/end", {**hidden, "session_id": foreign[0]})
    assert "Farm" in stranger.get("/").text
    # The one seen last comes first, and that is either of the two: end the one that is not here.
    rows = page.html.split("<tr>")
    (theirs,) = [
        re.findall(r"session_[0-9a-f]{16}", row)[0]
        for row in rows
        if "session_" in row and "this one" not in row
    ]
    here.post("/sessions/end", {**hidden, "session_id": theirs})
    there.get("/", status=401)
    here.post("/sessions/end", {"form_token": hidden["form_token"]}, status=401)
    here.get("/", status=401)
    assert "Farm" in stranger.get("/").text
    stranger.post("/sessions/end", {"session_id": foreign[0]}, status=403)


def test_a_revoked_token_ends_its_sessions_on_every_replica(
    visitor: Visitor,
    make_api: Callable[..., Api],
    make_token: MakeToken,
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "TRUSTED_S", 0.0)
    replica = Visitor(app_of(make_api()))
    visitor.sign_in(make_token(Scope.TABLES_READ))
    # The other replica takes the session that this one has begun.
    replica.http.cookies = visitor.http.cookies
    assert "Farm" in replica.get("/").text
    revoke_last(database)
    assert "it was revoked" in replica.get("/", status=401).text
    # Here it is trusted for 5 s more, as a bearer token is: not longer.
    state = visitor.http.app.state  # type: ignore[attr-defined]
    key = tokens.server_key(settings.server_key_file)
    state.token_checker = service.TokenChecker(database, key)
    assert "it was revoked" in visitor.get("/", status=401).text


def test_a_session_is_nothing_that_the_api_takes(admin: Visitor) -> None:
    assert admin.http.get("/v1/targets").status_code == 401
    session = admin.http.cookies["profiler-session"]
    assert "Farm" in admin.get("/").text
    bearer = {"Authorization": f"Bearer {session}"}
    assert admin.http.get("/v1/targets", headers=bearer).status_code == 401


@pytest.mark.one_database
def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(
    api: Api, make_token: MakeToken
) -> None:
    token = make_token(Scope.TABLES_READ)
    for base_url, prefix, secure in (
        ("http://localhost", "", False),
        ("http://127.0.0.1:8600", "", False),
        ("http://[::1]:8600", "", False),
        ("https://farm.test", "__Host-", True),
        ("https://localhost", "__Host-", True),
    ):
        visitor = Visitor(app_of(api), base_url)
        form = visitor.get("/login")
        answer = visitor.http.post(
            "/dashboard/login",
            data={**form.forms["/dashboard/login"], "token": token},
            follow_redirects=False,
        )
        for cookie in answer.headers.get_list("Set-Cookie"):
            parts = [part.strip() for part in cookie.split(";")]
            assert parts[0].startswith(f"{prefix}profiler-")
            assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(parts)
            assert ("Secure" in parts) is secure
            assert not any(part.startswith("Domain") for part in parts)
        assert "Farm" in visitor.get("/").text


@pytest.mark.one_database
def test_plain_http_from_elsewhere_is_told_that_it_needs_https(
    api: Api, make_token: MakeToken
) -> None:
    visitor = Visitor(app_of(api), "http://farm.test")
    form = visitor.get("/login")
    page = visitor.submit(form, "/login", {"token": make_token(Scope.ADMIN)}, status=403)
    assert "reach this server by https" in page.text


@pytest.mark.parametrize("form_token", [None, "", "0" * 64])
@pytest.mark.one_database
def test_a_login_form_of_another_site_is_refused(
    visitor: Visitor, make_token: MakeToken, form_token: str | None
) -> None:
    visitor.get("/login")
    fields = {"token": make_token(Scope.ADMIN), "form_token": form_token}
    page = visitor.post("/login", {k: v for k, v in fields.items() if v is not None}, status=403)
    assert "not made for this browser" in page.text
    visitor.get("/", status=401)


@pytest.mark.one_database
def test_a_token_of_a_login_form_is_none_of_a_session(
    visitor: Visitor, make_token: MakeToken
) -> None:
    login = visitor.get("/login").forms["/dashboard/login"]["form_token"]
    page = visitor.sign_in(make_token(Scope.ADMIN))
    assert page.forms["/dashboard/logout"]["form_token"] != login
    visitor.post("/jobs/new", {"form_token": login}, status=403)


@pytest.mark.one_database
def test_a_form_that_is_too_large_is_refused(visitor: Visitor) -> None:
    visitor.get("/login")
    page = visitor.post("/login", {"token": "x" * 2**13}, status=413)
    assert "at most 8192 bytes" in page.text


@pytest.mark.one_database
def test_the_rate_of_a_token_holds_for_its_sessions(
    make_api: Callable[..., Api], make_token: MakeToken
) -> None:
    visitor = Visitor(app_of(make_api(rate_limit_per_s=0.01, rate_limit_burst=2)))
    visitor.sign_in(make_token(Scope.TABLES_READ))
    visitor.get("/jobs")
    assert "more requests than it may" in visitor.get("/jobs", status=429).text
