"""The form with which one signs in."""

from __future__ import annotations

from fastapi import Request, Response

from profiler_server.dashboard import cookies, rendering
from profiler_server.dashboard.dependencies import form_tokens_of
from profiler_server.dashboard.form_tokens import nonce


def login_page(request: Request, next_page: str = "", why: str = "", status: int = 200) -> Response:
    """The form.

    Args:
        request: whose answer it is.
        next_page: where to go then, below the dashboard's address.
        why: why one has to sign in again.
        status: HTTP status.
    """
    cookie = cookies.LOGIN.read(request) or nonce()
    response = rendering.page(
        request,
        "login.html.j2",
        status,
        next_page=next_page,
        why=why,
        login_token=form_tokens_of(request).form_token(cookie),
    )
    cookies.LOGIN.set(request, response, cookie)
    return response
