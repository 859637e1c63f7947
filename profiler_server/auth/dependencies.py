"""Typed dependencies: an endpoint names the scope that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from pydantic import BaseModel

from profiler_server.auth.guesses import TokenGuesses
from profiler_server.auth.rate_limit import RateLimit
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import Principal, TokenChecker, refused
from profiler_server.auth.tokens import is_well_formed
from profiler_server.kit.http.requests import add_headers
from profiler_server.kit.http.routes import HeaderCheck
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.reach import REACH, Reach
from profiler_server.reach.named import named_by, require_within

_SCHEME = "bearer"


class Requires(SecurityBase, HeaderCheck):
    """A token with one of the scopes, which `admin` has all, that sees what the request names."""

    model = HTTPBearer(description="`profiler-server token create` makes one")
    scheme_name = "HTTPBearer"

    def __init__(self, *any_of: Scope) -> None:
        self._any_of = any_of

    async def __call__(self, request: Request) -> Principal:
        """Who asks.

        Raises:
            Problem: `invalid-token`, `missing-scope`, `rate-limited`, or `unknown-...`: what the
                path names is not within the token's reach.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != _SCHEME:
            raise refused("the request has no `Authorization: Bearer TOKEN` header")
        principal = self.admit(request, await identified(request, token.strip()))
        await confine(request, principal)
        return principal

    async def check_message(self, request: Request, message: BaseModel) -> None:
        """Refuses a body that names what the token does not see.

        Raises:
            Problem: `unknown-...`.
        """
        reach = cast("Reach | None", request.scope.get(REACH))
        if reach is not None:
            await _require_within(request, reach, dict(named_by(message)))

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


#: a route asks before the body is read, and the framework once more
_COUNTED = "profiler.counted"


async def confine(request: Request, principal: Principal) -> None:
    """Lets the request see what the token may see, and nothing else.

    Its transactions carry the reach, to which lists and look-ups are narrowed.

    Raises:
        Problem: `unknown-...`: the path names something else.
    """
    # A route asks before the body is read, and the framework once more.
    if principal.reach is not None and REACH not in request.scope:
        request.scope[REACH] = principal.reach
        await _require_within(request, principal.reach, request.path_params)


async def _require_within(request: Request, reach: Reach, named: Mapping[str, str]) -> None:
    database = cast("Database", request.app.state.database)

    def look() -> None:
        with database.within(lambda: reach).read() as session:
            require_within(session, reach, named)

    await run_in_threadpool(look)


async def identified(request: Request, token: str) -> Principal:
    """Who has the token.

    Raises:
        Problem: `invalid-token`, or `rate-limited` after too many that were not.
    """
    checker = cast("TokenChecker", request.app.state.token_checker)
    principal = checker.trusted(token)
    if principal is not None:
        return principal
    if not is_well_formed(token):
        raise refused("it is not a token of this service (mistyped or cut off?)")
    guesses = cast("TokenGuesses", request.app.state.token_guesses)
    address = request.client.host if request.client else ""
    async with guesses.turn(address):
        # Whoever was before may have had the same one.
        principal = checker.trusted(token)
        if principal is not None:
            return principal
        guesses.begin(token, address)
        try:
            principal = await run_in_threadpool(checker.check, token)
        except Problem:
            guesses.fail(token, address)
            raise
        guesses.succeed(token)
    return principal


def _take(request: Request, limit: RateLimit, principal: Principal) -> None:
    allowance = limit.take(principal.token_id)
    shown = f'"token";r={allowance.remaining};t={allowance.wait_s}'
    headers = [(b"ratelimit-policy", limit.policy.encode()), (b"ratelimit", shown.encode())]
    add_headers(request.scope, headers)
    if not allowance.allowed:
        raise Problem(
            "rate-limited",
            f"the token makes more requests than it may; wait {allowance.wait_s} s",
            headers={"Retry-After": str(allowance.wait_s)},
        )


TablesReader = Annotated[Principal, Depends(Requires(Scope.TABLES_READ))]
JobsWriter = Annotated[Principal, Depends(Requires(Scope.JOBS_WRITE))]
Agent = Annotated[Principal, Depends(Requires(Scope.AGENT))]
Admin = Annotated[Principal, Depends(Requires(Scope.ADMIN))]
#: any valid token
Anyone = Annotated[Principal, Depends(Requires(Scope.TABLES_READ, Scope.JOBS_WRITE, Scope.AGENT))]
