"""Typed dependencies: an endpoint names the scope that it needs."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from profiler_server.auth.rate_limit import RateLimit
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import Principal, TokenChecker, refused
from profiler_server.kit.http.requests import add_headers
from profiler_server.kit.problems import Problem

_bearer = HTTPBearer(auto_error=False, description="`profiler-server token create` makes one")
_SCHEME = "Bearer "


class Requires:
    """A token with one of the scopes; `admin` has them all."""

    def __init__(self, *any_of: Scope) -> None:
        self._any_of = any_of

    async def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        """Who asks.

        Raises:
            Problem: `invalid-token`, `missing-scope` or `rate-limited`.
        """
        if credentials is None:
            raise refused("the request has no `Authorization: Bearer TOKEN` header")
        checker = _checker(request)
        token = credentials.credentials
        principal = checker.trusted(token)
        if principal is None:
            principal = await run_in_threadpool(checker.check, token)
        return self.admit(request, principal)

    def trusts(self, request: Request) -> bool:
        """Whether the token was checked a moment ago and allows this; never waits.

        Raises:
            Problem: `missing-scope` or `rate-limited`.
        """
        header = request.headers.get("Authorization", "")
        if not header.startswith(_SCHEME):
            return False
        principal = _checker(request).trusted(header.removeprefix(_SCHEME))
        return principal is not None and bool(self.admit(request, principal))

    def admit(self, request: Request, principal: Principal) -> Principal:
        """Lets a checked token do this once more.

        Raises:
            Problem: `missing-scope` or `rate-limited`.
        """
        if not principal.may(self._any_of):
            wanted = " or ".join(self._any_of)
            raise Problem(
                "missing-scope",
                f"this needs the scope {wanted}, the token has "
                f"{' '.join(sorted(principal.scopes))}; "
                f"`profiler-server token create --scope {self._any_of[0]}` makes one",
            )
        limit = cast("RateLimit | None", request.app.state.rate_limit)
        if limit is not None and not request.scope.get(_COUNTED):
            request.scope[_COUNTED] = True
            _take(request, limit, principal)
        return principal


_COUNTED = "profiler.counted"


def _checker(request: Request) -> TokenChecker:
    return cast("TokenChecker", request.app.state.token_checker)


def _take(request: Request, limit: RateLimit, principal: Principal) -> None:
    left = limit.take(principal.token_id)
    shown = f'"token";r={left.remaining};t={left.wait_s}'
    headers = [(b"ratelimit-policy", limit.policy.encode()), (b"ratelimit", shown.encode())]
    add_headers(request.scope, headers)
    if not left.allowed:
        raise Problem(
            "rate-limited",
            f"the token makes more requests than it may; wait {left.wait_s} s",
            headers={"Retry-After": str(left.wait_s)},
        )


TABLES_READER = Requires(Scope.TABLES_READ)

TablesReader = Annotated[Principal, Depends(TABLES_READER)]
JobsWriter = Annotated[Principal, Depends(Requires(Scope.JOBS_WRITE))]
Agent = Annotated[Principal, Depends(Requires(Scope.AGENT))]
Admin = Annotated[Principal, Depends(Requires(Scope.ADMIN))]
#: any valid token
Anyone = Annotated[Principal, Depends(Requires(Scope.TABLES_READ, Scope.JOBS_WRITE, Scope.AGENT))]
