"""Files that pages load: ours, the script of `plotly`, and Swagger UI of `fastapi-offline`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from functools import cache
from importlib import resources
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

#: the address changes with the content
_IMMUTABLE = "public, max-age=31536000, immutable"
_SHOWN_HASH = 16
_PLOTLY = "plotly.min.js"
#: of the page that shows the API
SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js")
_PACKAGE = "profiler_server.dashboard"
#: the bundler names a style by the hash of its content
_STYLE_IDS = re.compile(r'getElementById\("([0-9a-f]{64})"\)')


def install(app: FastAPI) -> None:
    """Serves the files; whoever may reach the server may read them."""
    app.mount("/static", _Versioned(packages=[(_PACKAGE, "static")]))
    # Only what is asked for by pages: the folder has data sets, too.
    app.mount("/plotly", _Chosen({_PLOTLY}, packages=[("plotly", "package_data")]))
    app.mount("/swagger", _Chosen(set(SWAGGER), packages=[("fastapi_offline", "static")]))


@cache
def address(name: str) -> str:
    """Where a file is, below the dashboard's own address; another one when its content changes."""
    if name == _PLOTLY:
        return f"/plotly/{name}?v={importlib.metadata.version('plotly')}"
    if name in SWAGGER:
        return f"/swagger/{name}?v={importlib.metadata.version('fastapi-offline')}"
    content = resources.files(_PACKAGE).joinpath("static", name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:_SHOWN_HASH]}"


@cache
def plotly_style_ids() -> tuple[str, ...]:
    """Ids of elements in whose place the plotting script would write styles that it carries.

    The policy forbids that, and maps, which they are for, are not drawn here: the script is
    content with any element of that id.
    """
    script = resources.files("plotly").joinpath("package_data", _PLOTLY).read_text("utf-8")
    return tuple(dict.fromkeys(_STYLE_IDS.findall(script)))


class _Versioned(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        current = address(path).partition("?")[2].encode()
        # A replica of another version would pin its own file under this one's address.
        is_current = scope["query_string"] == current
        response.headers["Cache-Control"] = _IMMUTABLE if is_current else "no-cache"
        return response


class _Chosen(_Versioned):
    def __init__(self, names: set[str], **options: Any) -> None:
        super().__init__(**options)
        self._names = names

    def get_path(self, scope: Scope) -> str:
        path = super().get_path(scope)
        return path if path in self._names else ""
