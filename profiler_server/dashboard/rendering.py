"""Templates to pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from netspec.console.latency_unit import LatencyUnit
from netspec.console.units import energy_text, latency_text, memory_text, significant
from profiler_server.dashboard import assets, formatting, people, wording
from profiler_server.dashboard.dependencies import FORM_FIELD, Viewer
from profiler_server.dashboard.navigation import NAVIGATION
from profiler_server.dashboard.views import entry as entries
from profiler_server.dashboard.views import fields

#: where the server's application has the dashboard
PATH = "/dashboard"


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page.

    Args:
        request: whose answer it is.
        template: a file of `templates`.
        status: HTTP status.
        values: what the template shows.
    """
    return HTMLResponse(render(request, template, **values), status)


def render(request: Request, template: str, **values: Any) -> str:
    """A filled template.

    Every template also has `base` (the dashboard's own address, what links begin with), `path`
    (the page's, below it), `viewer` (None: nobody is signed in), `navigation`, `form_field` and
    `asset(name)`.
    """
    return _environment.get_template(template).render(**_of_every_page(request), **values)


def macro(request: Request, template: str, name: str) -> Callable[..., str]:
    """A macro of a template, for parts of which a page has many; it knows what templates know."""
    module = _environment.get_template(template).make_module(_of_every_page(request))
    found: Callable[..., str] = getattr(module, name)
    return found


def _of_every_page(request: Request) -> dict[str, Any]:
    base = base_of(request)
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    return {
        "base": base,
        "path": request.url.path.removeprefix(base) or "/",
        "viewer": viewer,
        "navigation": NAVIGATION,
        "form_field": FORM_FIELD,
        "asset": lambda name: base + assets.address(name),
    }


def base_of(request: Request) -> str:
    """The dashboard's own address, without a slash at its end."""
    # Below the address that a proxy gives to all of this; files are mounted further down.
    return f"{request.scope['app_root_path']}{PATH}"


def kept(**filters: str | None) -> dict[str, str]:
    """What a page's links keep of its query: the filters that are set."""
    return {name: str(value) for name, value in filters.items() if value}


def segment(text: str) -> str:
    """A text as one segment of an address."""
    return quote(text, safe="")


_environment = Environment(
    loader=PackageLoader("profiler_server.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals["plotly_style_ids"] = assets.plotly_style_ids
_environment.globals["latency_unit"] = LatencyUnit.of
_environment.globals["meanings"] = wording.MEANINGS
_environment.filters.update(
    segment=segment,
    short=entries.short,
    moment=formatting.moment,
    iso=formatting.iso,
    ago=formatting.ago,
    duration=formatting.duration,
    counted=formatting.counted,
    clock=formatting.clock,
    browser=formatting.browser,
    plain=formatting.plain,
    digits=significant,
    latency=latency_text,
    energy=energy_text,
    memory=memory_text,
    precision=wording.precision,
    zip=zip,
    percent=wording.percent,
    signed_percent=wording.signed_percent,
    sizes=wording.sizes,
    manner=wording.manner,
    subject_title=wording.subject_title,
    in_words=people.in_words,
    field_text=fields.text_of,
    fields_option=lambda name: (name, name),
)
