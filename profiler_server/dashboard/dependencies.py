"""Typed dependencies: a page names the scope that it needs.

They are the API's, with a session's cookie in place of the bearer token. What changes anything is
a POST, and every POST is checked for the token of its form: no endpoint can forget it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool

from netspec.wire import MAX_CURSOR, Owner
from profiler_server.auth import sessions
from profiler_server.auth.dependencies import Requires, confine
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import Principal, TokenChecker
from profiler_server.dashboard import cookies
from profiler_server.dashboard.form_tokens import FormTokens
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database

FORM_FIELD = "form_token"

#: of a page's list
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR)]


class NotSignedIn(Exception):
    """Nobody is signed in, or not any more; the text says why, for the login page."""


@dataclass(frozen=True)
class Viewer:
    """Who looks at a page."""

    principal: Principal
    session_id: str
    #: to be sent with every form
    form_token: str

    @property
    def may_file_jobs(self) -> bool:
        """Whether to offer what changes jobs."""
        return self.principal.may([Scope.JOBS_WRITE])

    def may_change(self, owner: Owner | None) -> bool:
        """Whether to offer what changes or deletes something of this owner's."""
        is_own = owner is not None and owner.token_id == self.principal.token_id
        return is_own or Scope.ADMIN in self.principal.scopes

    @property
    def may_read_tables(self) -> bool:
        """Whether to offer pages of tables."""
        return self.principal.may([Scope.TABLES_READ])


class SignedIn:
    """A session of a token with one of the scopes; `admin` has them all."""

    def __init__(self, *any_of: Scope) -> None:
        self._requires = Requires(*any_of)

    async def __call__(self, request: Request) -> Viewer:
        """Who asks; kept as `request.state.viewer`.

        Raises:
            NotSignedIn: there is no session, or it or its token is not valid any more.
            Problem: `missing-scope`, `rate-limited`, or `unknown-...`: the path names what the
                token does not see.
            HTTPException: 403, the form was not made for this browser.
        """
        cookie = cookies.SESSION.read(request)
        if cookie is None:
            raise NotSignedIn("")
        session_id, principal = await who(request, cookie)
        form_token = form_tokens_of(request).form_token(cookie)
        viewer = Viewer(principal, session_id, form_token)
        # Set first: the page that says what is missing has the menu, too.
        request.state.viewer = viewer
        self._requires.admit(request, viewer.principal)
        await confine(request, viewer.principal)
        if request.method not in ("GET", "HEAD"):
            await check_form(request, cookie)
        return viewer


async def who(request: Request, cookie: str) -> tuple[str, Principal]:
    """A session's id, and its principal as the token stands: that is asked for every 5 s.

    Raises:
        NotSignedIn: the session or its token is not valid any more.
    """
    found = await run_in_threadpool(_session, request, cookie)
    if found is None:
        raise NotSignedIn("The session has ended; sign in again.")
    session_id, token_id = found
    checker = cast("TokenChecker", request.app.state.token_checker)
    principal = checker.trusted_id(token_id)
    if principal is not None:
        return session_id, principal
    try:
        return session_id, await run_in_threadpool(checker.check_id, token_id)
    except Problem as problem:
        raise NotSignedIn(f"The session has ended: {problem.detail}.") from problem


def _session(request: Request, cookie: str) -> tuple[str, str] | None:
    """The ids of a session that lives and of its token: one that ended is gone on every replica."""
    database = cast("Database", request.app.state.database)
    with database.read() as session:
        found = sessions.find(session, cast("bytes", request.app.state.server_key), cookie)
        stale = found is not None and sessions.is_unseen(session, found)
    if found is None:
        return None
    if stale:
        with database.write() as session:
            sessions.see(session, found.id)
    return found.id, found.token_id


async def check_form(request: Request, cookie: str) -> None:
    """Checks that a form was made for the browser that sends it.

    Raises:
        HTTPException: 403.
    """
    form = await request.form()
    given = form.get(FORM_FIELD)
    if not isinstance(given, str) or not form_tokens_of(request).is_form_token(cookie, given):
        await form.close()
        raise HTTPException(
            403, "the form was not made for this browser's session; reload its page, send it again"
        )


def form_tokens_of(request: Request) -> FormTokens:
    """What signs forms."""
    return cast("FormTokens", request.app.state.form_tokens)


#: any valid token: the farm, its devices and jobs
ANYONE = SignedIn(Scope.TABLES_READ, Scope.JOBS_WRITE, Scope.AGENT)
Anyone = Annotated[Viewer, Depends(ANYONE)]
TablesReader = Annotated[Viewer, Depends(SignedIn(Scope.TABLES_READ))]
JobsWriter = Annotated[Viewer, Depends(SignedIn(Scope.JOBS_WRITE))]
#: who may change devices: those of the token's own
AgentsOwner = Annotated[Viewer, Depends(SignedIn(Scope.AGENT))]
Admin = Annotated[Viewer, Depends(SignedIn(Scope.ADMIN))]
