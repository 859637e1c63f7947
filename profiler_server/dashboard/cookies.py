"""How the dashboard's cookies are set."""

from __future__ import annotations

from typing import Final

from fastapi import Request, Response

from profiler_server.auth.sessions import SESSION_S

#: for how long (s) a login page that is left open works
_LOGIN_S = 3_600
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class Cookie:
    """A cookie that scripts cannot read and other sites' forms do not send.

    It travels over https alone, except on this machine: there browsers come by plain http.
    """

    def __init__(self, name: str, seconds: int) -> None:
        self._name = name
        self._seconds = seconds

    def read(self, request: Request) -> str | None:
        """What the browser has sent."""
        return request.cookies.get(self._name_for(request))

    def set(self, request: Request, response: Response, value: str) -> None:
        """Leaves a value in the browser."""
        response.set_cookie(
            self._name_for(request),
            value,
            max_age=self._seconds,
            path="/",
            secure=not is_local(request),
            httponly=True,
            samesite="lax",
        )

    def remove(self, request: Request, response: Response) -> None:
        """Takes the value out of the browser."""
        response.delete_cookie(
            self._name_for(request),
            path="/",
            secure=not is_local(request),
            httponly=True,
            samesite="lax",
        )

    def _name_for(self, request: Request) -> str:
        # Browsers let nobody but this very host set what begins so.
        return self._name if is_local(request) else f"__Host-{self._name}"


def is_local(request: Request) -> bool:
    """Whether a browser of this machine asks over plain http."""
    return request.url.scheme == "http" and request.url.hostname in _LOCAL_HOSTS


SESSION: Final = Cookie("profiler-session", SESSION_S)
#: ties the login form to the browser before there is a session
LOGIN: Final = Cookie("profiler-login", _LOGIN_S)
