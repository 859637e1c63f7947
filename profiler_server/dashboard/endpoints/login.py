"""Signing in with a token, and out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from profiler_server.auth.dependencies import identified
from profiler_server.dashboard import cookies, rendering
from profiler_server.dashboard.dependencies import check_form, sessions_of
from profiler_server.dashboard.login_page import login_page
from profiler_server.kit.problems import Problem

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
    session = sessions_of(request).begin(principal.token_id)
    cookies.SESSION.set(request, response, session)
    cookies.LOGIN.remove(request, response)
    return response


@router.post("/logout")
async def sign_out(request: Request) -> Response:
    """Ends this browser's session."""
    cookie = cookies.SESSION.read(request)
    response = RedirectResponse(f"{rendering.base_of(request)}/login", HTTPStatus.SEE_OTHER)
    if cookie is not None:
        await check_form(request, cookie)
        cookies.SESSION.remove(request, response)
    return response
