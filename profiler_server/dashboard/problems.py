"""Errors as pages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from profiler_server.dashboard import cookies, people, rendering
from profiler_server.dashboard.dependencies import ANYONE, NotSignedIn
from profiler_server.dashboard.login_page import login_page
from profiler_server.kit import problems
from profiler_server.kit.invalid_requests import describe
from profiler_server.kit.problems import KINDS, Problem, ProblemBody
from profiler_server.kit.sql import outages

_TYPE = "/problems/"


def install(app: FastAPI) -> None:
    """Makes every error of the dashboard a page; who is not signed in gets the login form."""
    problems.install(app, _page)
    outages.install(app)

    @app.exception_handler(RequestValidationError)
    async def of_form(request: Request, error: RequestValidationError) -> Response:
        # An id in an address that can be none is that of nothing.
        is_address = any(one["loc"][:1] == ("path",) for one in error.errors())
        kind = "not-found" if is_address else "invalid-request"
        status, title = KINDS[kind]
        detail = describe(error, request)
        return _page(
            request, ProblemBody(type=_TYPE + kind, title=title, status=status, detail=detail), {}
        )

    @app.exception_handler(NotSignedIn)
    async def of_nobody(request: Request, error: NotSignedIn) -> Response:
        return login_page(request, _asked(request), str(error), HTTPStatus.UNAUTHORIZED)


async def nothing_there(request: Request) -> None:
    """Any other address: whoever is signed in keeps the menu.

    Raises:
        Problem: `not-found`.
    """
    if cookies.SESSION.read(request) is not None:
        with suppress(NotSignedIn):
            await ANYONE(request)
    raise Problem("not-found", "there is no such page")


def _asked(request: Request) -> str:
    """The page to show after signing in; what was posted has to be sent again."""
    if request.method != "GET":
        return ""
    path = request.url.path.removeprefix(rendering.base_of(request)).lstrip("/")
    return f"{path}?{request.url.query}" if request.url.query else path


def _page(request: Request, body: ProblemBody, headers: Mapping[str, str]) -> Response:
    says, address, name = people.of_kind(body.type.removeprefix(_TYPE), body.detail)
    response = rendering.page(
        request,
        "problem.html.j2",
        body.status,
        title=body.title,
        says=says,
        address=address,
        name=name,
    )
    response.headers.update(headers)
    return response
