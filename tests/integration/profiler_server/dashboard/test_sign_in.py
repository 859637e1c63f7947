from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from profiler_server.auth import repository, service, tokens
from profiler_server.auth.scopes import Scope
from profiler_server.dashboard.sessions import SESSION_S, Sessions
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server.dashboard.visitor import Visitor
from tests.integration.profiler_server.service import Api

MakeToken = Callable[..., str]


def app_of(api: Api) -> FastAPI:
    app = api.http.app  # type: ignore[attr-defined]
    assert isinstance(app, FastAPI)
    return app


def revoke_last(database: Database) -> None:
    with database.write() as session:
        service.revoke(session, repository.everything(session)[-1].id)


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


def test_next_never_leaves_this_server(visitor: Visitor, make_token: MakeToken) -> None:
    token = make_token(Scope.TABLES_READ)
    for other in ("https://evil.test/", "//evil.test/", "\\\\evil.test", "/../../x", "a\r\nb: c"):
        form = visitor.get("/login")
        hidden = {**form.forms["/dashboard/login"], "next": other, "token": token}
        answer = visitor.http.post("/dashboard/login", data=hidden, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/dashboard/")
        assert "b" not in answer.headers


def test_an_ended_session_is_told(api: Api, admin: Visitor, settings: Settings) -> None:
    state = app_of(api).state
    key = tokens.server_key(settings.server_key_file)
    ends = time.time() + SESSION_S
    state.sessions = Sessions(key, lambda: ends - 60)
    assert "Farm" in admin.get("/").text
    state.sessions = Sessions(key, lambda: ends + 60)
    assert "The session has ended; sign in again." in admin.get("/", status=401).text


def test_a_forged_session_is_refused(visitor: Visitor) -> None:
    forged = Sessions(b"another server's key").begin("token_1")
    visitor.http.cookies.set("profiler-session", forged)
    assert "The session has ended" in visitor.get("/", status=401).text
    # Signed by this server, but of no token.
    state = visitor.http.app.state  # type: ignore[attr-defined]
    visitor.http.cookies.set("profiler-session", state.sessions.begin("token_1"))
    assert "has not made it" in visitor.get("/", status=401).text


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
    # Nor the id in it, which the event log tells to everybody with a token.
    for text in (session, session.split(".")[0]):
        bearer = {"Authorization": f"Bearer {text}"}
        assert admin.http.get("/v1/targets", headers=bearer).status_code == 401


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


def test_plain_http_from_elsewhere_is_told_that_it_needs_https(
    api: Api, make_token: MakeToken
) -> None:
    visitor = Visitor(app_of(api), "http://farm.test")
    form = visitor.get("/login")
    page = visitor.submit(form, "/login", {"token": make_token(Scope.ADMIN)}, status=403)
    assert "reach this server by https" in page.text


@pytest.mark.parametrize("form_token", [None, "", "0" * 64])
def test_a_login_form_of_another_site_is_refused(
    visitor: Visitor, make_token: MakeToken, form_token: str | None
) -> None:
    visitor.get("/login")
    fields = {"token": make_token(Scope.ADMIN), "form_token": form_token}
    page = visitor.post("/login", {k: v for k, v in fields.items() if v is not None}, status=403)
    assert "not made for this browser" in page.text
    visitor.get("/", status=401)


def test_a_token_of_a_login_form_is_none_of_a_session(
    visitor: Visitor, make_token: MakeToken
) -> None:
    login = visitor.get("/login").forms["/dashboard/login"]["form_token"]
    page = visitor.sign_in(make_token(Scope.ADMIN))
    assert page.forms["/dashboard/logout"]["form_token"] != login
    visitor.post("/jobs/new", {"form_token": login}, status=403)


def test_a_form_that_is_too_large_is_refused(visitor: Visitor) -> None:
    visitor.get("/login")
    page = visitor.post("/login", {"token": "x" * 2**13}, status=413)
    assert "at most 8192 bytes" in page.text


def test_the_rate_of_a_token_holds_for_its_sessions(
    make_api: Callable[..., Api], make_token: MakeToken
) -> None:
    visitor = Visitor(app_of(make_api(rate_limit_per_s=0.01, rate_limit_burst=2)))
    visitor.sign_in(make_token(Scope.TABLES_READ))
    visitor.get("/jobs")
    assert "more requests than it may" in visitor.get("/jobs", status=429).text
