"""The dashboard as an application inside the server's."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from profiler_server.dashboard import api_reference, assets, problems
from profiler_server.dashboard.endpoints import ROUTERS, models
from profiler_server.dashboard.form_tokens import FormTokens
from profiler_server.dashboard.headers import SecurityHeaders
from profiler_server.dashboard.rendering import PATH
from profiler_server.kit.http.body_limit import BodyLimit

#: bytes of a form, also of the one for signing in, which anybody may send
_MOST_FORM_BYTES = 8_192
#: bytes of those with a long field: a job's description, a model
_LONGER_FORMS = {"/jobs/new": 2**20, models.UPLOAD: models.MOST_BYTES}


def mount(app: FastAPI, server_key: bytes) -> None:
    """Serves the dashboard, which shares the server's state, and leads `/` to it.

    Args:
        app: the server's application, its state set.
        server_key: keys the hashes of sessions, and signs forms.
    """
    inner = FastAPI(openapi_url=None, redirect_slashes=False)
    inner.state = app.state
    inner.state.server_key = server_key
    inner.state.form_tokens = FormTokens(server_key)
    problems.install(inner)
    inner.add_middleware(BodyLimit, most_bytes=_MOST_FORM_BYTES, larger=_LONGER_FORMS)
    for router in ROUTERS:
        inner.router.routes.extend(router.routes)
    assets.install(inner)
    inner.add_api_route("/{address:path}", problems.nothing_there, include_in_schema=False)

    # Relative: a proxy may serve all of this below an address of its own.
    @app.get("/", include_in_schema=False)
    @app.get(PATH, include_in_schema=False)
    async def to_dashboard() -> RedirectResponse:
        return RedirectResponse(f"{PATH.removeprefix('/')}/")

    # Around the handler of last resort, too.
    app.mount(PATH, SecurityHeaders(inner))
    api_reference.mount(app, PATH)
