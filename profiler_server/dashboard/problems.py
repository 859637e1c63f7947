"""Errors as pages."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import NotSignedIn
from profiler_server.dashboard.login_page import login_page
from profiler_server.kit import problems
from profiler_server.kit.invalid_requests import describe
from profiler_server.kit.problems import KINDS, ProblemBody
from profiler_server.kit.sql import outages


def install(app: FastAPI) -> None:
    """Makes every error of the dashboard a page; who is not signed in gets the login form."""
    problems.install(app, _page)
    outages.install(app)

    @app.exception_handler(RequestValidationError)
    async def of_form(request: Request, error: RequestValidationError) -> Response:
        status, title = KINDS["invalid-request"]
        detail = describe(error, request)
        body = ProblemBody(
            type="/problems/invalid-request", title=title, status=status, detail=detail
        )
        return _page(request, body, {})

    @app.exception_handler(NotSignedIn)
    async def of_nobody(request: Request, error: NotSignedIn) -> Response:
        return login_page(request, _asked(request), str(error), HTTPStatus.UNAUTHORIZED)


def _asked(request: Request) -> str:
    """The page to show after signing in; what was posted has to be sent again."""
    if request.method != "GET":
        return ""
    path = request.url.path.removeprefix(rendering.base_of(request)).lstrip("/")
    return f"{path}?{request.url.query}" if request.url.query else path


def _page(request: Request, body: ProblemBody, headers: Mapping[str, str]) -> Response:
    response = rendering.page(request, "problem.html.j2", body.status, problem=body)
    response.headers.update(headers)
    return response
