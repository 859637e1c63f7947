"""Typed dependencies: an endpoint names the scope that it needs."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from profiler_server.auth.service import Principal, Scope, TokenChecker, refused
from profiler_server.kit.problems import Problem

_bearer = HTTPBearer(auto_error=False, description="`profiler-server token create` makes one")


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
            Problem: `invalid-token` or `missing-scope`.
        """
        if credentials is None:
            raise refused("the request has no `Authorization: Bearer TOKEN` header")
        checker = cast("TokenChecker", request.app.state.token_checker)
        token = credentials.credentials
        principal = checker.trusted(token)
        if principal is None:
            principal = await run_in_threadpool(checker.check, token)
        if not principal.may(self._any_of):
            wanted = " or ".join(self._any_of)
            raise Problem(
                "missing-scope",
                f"this needs the scope {wanted}, the token has "
                f"{' '.join(sorted(principal.scopes))}; "
                f"`profiler-server token create --scope {self._any_of[0]}` makes one",
            )
        return principal


TablesReader = Annotated[Principal, Depends(Requires(Scope.TABLES_READ))]
JobsWriter = Annotated[Principal, Depends(Requires(Scope.JOBS_WRITE))]
Agent = Annotated[Principal, Depends(Requires(Scope.AGENT))]
#: any valid token
Anyone = Annotated[Principal, Depends(Requires(Scope.TABLES_READ, Scope.JOBS_WRITE, Scope.AGENT))]
