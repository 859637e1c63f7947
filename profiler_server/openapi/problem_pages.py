"""A page for each kind of problem, where the `type` of a problem leads."""

from __future__ import annotations

import re

from fastapi import APIRouter, Response
from markupsafe import Markup, escape

from profiler_server.kit.problem_texts import MEANINGS
from profiler_server.kit.problems import KINDS, Problem

router = APIRouter(prefix="/problems", include_in_schema=False)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=3600",
}
_CODE = re.compile(r"`([^`]+)`")
_PAGE = Markup(
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title></head>\n'
    "<body><main><h1>{title}</h1>\n{body}\n</main></body>\n</html>\n"
)


@router.get("")
async def list_problems() -> Response:
    """Every kind."""
    items = Markup("").join(
        Markup('<li><a href="problems/{kind}"><code>{kind}</code></a>: {title}</li>\n').format(
            kind=kind, title=title
        )
        for kind, (_, title) in KINDS.items()
    )
    return _page("Problems", Markup("<ul>\n{}</ul>").format(items))


@router.get("/{kind}")
async def show_problem(kind: str) -> Response:
    """What a kind of problem means, and what to do; needs no token."""
    if kind not in KINDS:
        raise Problem("not-found", f"no problem is called {kind!r}; GET /problems lists them")
    status, title = KINDS[kind]
    meaning = _CODE.sub(r"<code>\1</code>", str(escape(MEANINGS[kind])))
    body = Markup(
        "<p><code>{kind}</code>, status {status}</p>\n<p>{meaning}</p>\n"
        '<p><a href="../problems">All problems</a></p>'
    ).format(kind=kind, status=status, meaning=Markup(meaning))  # noqa: S704 - escaped above
    return _page(title, body)


def _page(title: str, body: Markup) -> Response:
    return Response(_PAGE.format(title=title, body=body), headers=_HEADERS, media_type="text/html")
