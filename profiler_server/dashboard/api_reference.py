"""The page at `/docs`: the OpenAPI document, shown by Swagger UI from files of this server."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from profiler_server.dashboard import assets
from profiler_server.dashboard.headers import ALWAYS

PATH = "/docs"
_TEMPLATES = Environment(
    loader=PackageLoader("profiler_server.dashboard"), autoescape=True, undefined=StrictUndefined
)


def mount(app: FastAPI, dashboard: str) -> None:
    """Serves the page; it needs no token, as the document that it shows.

    Args:
        app: the server's application.
        dashboard: the dashboard's address, below which the files are.
    """
    content = _TEMPLATES.get_template("api_reference.html.j2").render(
        # Relative: a proxy may serve all of this below an address of its own.
        asset=lambda name: f"{dashboard.removeprefix('/')}{assets.address(name)}",
        title=app.title,
    )

    @app.get(PATH, include_in_schema=False)
    async def show_api() -> HTMLResponse:
        return HTMLResponse(content, headers={**ALWAYS, "Cache-Control": "no-cache"})
