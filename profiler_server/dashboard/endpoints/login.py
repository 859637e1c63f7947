"""Signing in with a token, and out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from profiler_server.auth import sessions
from profiler_server.auth.dependencies import identified
from profiler_server.dashboard import cookies, rendering
from profiler_server.dashboard.dependencies import Anyone, check_form
from profiler_server.dashboard.login_page import login_page
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database

router = APIRouter()


@router.get("/login")
async def show_login(
    request: Request, next_page: Annotated[str, Query(alias="next")] = ""
) -> Response:
    """The form; `next` is where to go then, below the dashboard's address."""
    return login_page(request, next_page)


@router.post("/login")
async def sign_in(
    request: Request,
    database: DatabaseDep,
    token: Annotated[str, Form()] = "",
    next_page: Annotated[str, Form(alias="next")] = "",
) -> Response:
    """Begins a session of a token that is valid."""
    cookie = cookies.LOGIN.read(request)
    if cookie is None:
        secure = "" if cookies.is_local(request) else " and reach this server by https"
        why = f"The browser has sent no cookie: allow cookies{secure}, then sign in again."
        return login_page(request, next_page, why, HTTPStatus.FORBIDDEN)
    await check_form(request, cookie)
    try:
        principal = await identified(request, token.strip())
    except Problem as problem:
        why = f"The token was not taken: {problem.detail}."
        return login_page(request, next_page, why, problem.status)
    # What follows the dashboard's own address is below it, whatever it is.
    address = f"{rendering.base_of(request)}/{next_page.lstrip('/')}"
    response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    browser = request.headers.get("User-Agent", "")
    secret = await run_in_threadpool(_begin, request, database, principal.token_id, browser)
    cookies.SESSION.set(request, response, secret)
    cookies.LOGIN.remove(request, response)
    return response


def _begin(request: Request, database: Database, token_id: str, browser: str) -> str:
    with database.write() as session:
        return sessions.begin(session, request.app.state.server_key, token_id, browser)


@router.post("/logout")
async def sign_out(request: Request, database: DatabaseDep) -> Response:
    """Ends this browser's session: whoever has a copy of its cookie is out, too."""
    cookie = cookies.SESSION.read(request)
    response = RedirectResponse(f"{rendering.base_of(request)}/login", HTTPStatus.SEE_OTHER)
    if cookie is not None:
        await check_form(request, cookie)
        await run_in_threadpool(_end, request, database, cookie)
        cookies.SESSION.remove(request, response)
    return response


def _end(request: Request, database: Database, cookie: str) -> None:
    with database.write() as session:
        found = sessions.find(session, request.app.state.server_key, cookie)
        if found is not None:
            sessions.end(session, found.token_id, found.id)


@router.get("/sessions")
def list_sessions(request: Request, database: DatabaseDep, viewer: Anyone) -> Response:
    """Where the viewer's token is signed in."""
    with database.read() as session:
        found = sessions.live(session, viewer.principal.token_id)
    return rendering.page(request, "sessions.html.j2", sessions=found)


@router.post("/sessions/end")
def end_sessions(
    request: Request,
    database: DatabaseDep,
    viewer: Anyone,
    session_id: Annotated[str | None, Form(pattern=r"^session_[0-9a-f]{16}$")] = None,
) -> Response:
    """Ends one of the sessions of the viewer's token, or signs out everywhere."""
    with database.write() as session:
        sessions.end(session, viewer.principal.token_id, session_id)
    address = f"{rendering.base_of(request)}/sessions"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)
