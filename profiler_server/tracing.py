"""Traces for OpenTelemetry: a span for each request and, below it, one for each statement of SQL.

Off unless the standard variables ask for them (`OTEL_TRACES_EXPORTER`, or
`OTEL_EXPORTER_OTLP_ENDPOINT`); the SDK reads all the others by itself. Its packages are the extra
`traces`.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netspec.errors import UserError
from profiler_server.kit.http.requests import route_of
from profiler_server.kit.sql.database import Database

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_EXPORTER, _DISABLED = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP, _CONSOLE, _NONE = "otlp", "console", "none"
_HTTP = "http/protobuf"
#: what asks for them every second
_NOT_TRACED = "/healthz$,/readyz$,/metrics$"
_SERVICE = "profiler-server"


def wanted_exporter(variables: Mapping[str, str]) -> str | None:
    """Where the environment wants traces sent: `otlp` or `console`; None: nowhere.

    Raises:
        UserError: it wants what is not here.
    """
    if variables.get(_DISABLED, "").strip().lower() == "true":
        return None
    has_endpoint = any(variables.get(name) for name in _ENDPOINTS)
    exporter = variables.get(_EXPORTER, "").strip() or (_OTLP if has_endpoint else _NONE)
    if exporter not in (_OTLP, _CONSOLE, _NONE):
        raise UserError(
            f"{_EXPORTER} is {exporter!r}, expected {_OTLP}, {_CONSOLE} or {_NONE}; a collector "
            "turns OTLP into anything else"
        )
    for name in _PROTOCOLS:
        if exporter == _OTLP and variables.get(name, _HTTP) != _HTTP:
            raise UserError(
                f"{name} is {variables[name]!r}, and spans are sent by {_HTTP} alone; leave it "
                "out, and name the collector's port for that (usually 4318)"
            )
    return None if exporter == _NONE else exporter


def traced(app: FastAPI) -> ASGIApp:
    """The application with the traces that the environment asks for; without, as it is.

    Raises:
        UserError: the environment wants what is not here, or the packages are missing.
    """
    exporter = wanted_exporter(os.environ)
    if exporter is None:
        return app
    try:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415
        from opentelemetry.instrumentation.sqlalchemy import (  # noqa: PLC0415
            SQLAlchemyInstrumentor,
        )
    except ModuleNotFoundError as error:
        raise UserError(
            f"the environment asks for traces ({_EXPORTER} or {_ENDPOINTS[0]}), which need the "
            f"package {error.name}; install the extra: pip install 'proxyless-farm[server,traces]'"
        ) from error
    provider = _provider(exporter)
    database: Database = app.state.database
    SQLAlchemyInstrumentor().instrument(
        engine=database.engine,
        tracer_provider=provider,
        # It names SQLAlchemy 2.0 as the latest that it knows; of 2.1 a test sees that it works.
        skip_dep_check=True,
    )
    traced_app: ASGIApp = OpenTelemetryMiddleware(
        _Traced(app, provider),
        excluded_urls=_NOT_TRACED,
        tracer_provider=provider,
        # One for each part of an answer says nothing more.
        exclude_spans=["receive", "send"],
    )
    return traced_app


class _Traced:
    """The application, within the span of a request; spans that wait are sent when it ends."""

    def __init__(self, app: ASGIApp, provider: TracerProvider) -> None:
        self._app = app
        self._provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or starts and ends with the server."""
        from opentelemetry.trace import get_current_span  # noqa: PLC0415

        span = get_current_span()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                _name(span, scope)
            await send(message)

        await self._app(scope, receive, named)
        if scope["type"] == "lifespan":
            # It waits for a collector that does not answer as long as the SDK's variables say.
            self._provider.shutdown()


def _provider(exporter: str) -> TracerProvider:
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SpanExporter,
    )
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    class OfRequests(BatchSpanProcessor):
        """Leaves out what the server asks the database on nobody's behalf, every second."""

        def on_end(self, span: ReadableSpan) -> None:
            if span.parent is not None or span.kind is SpanKind.SERVER:
                super().on_end(span)

    sends: SpanExporter = ConsoleSpanExporter()
    if exporter == _OTLP:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        sends = OTLPSpanExporter()
    own = {SERVICE_NAME: _SERVICE, SERVICE_VERSION: importlib.metadata.version("proxyless-farm")}
    given = Resource.create()
    if str(given.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = given.merge(Resource(own))
    else:
        resource = Resource(own).merge(given)
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(OfRequests(sends))
    return provider


def _name(span: Span, scope: Scope) -> None:
    """Names a request's span after its route: paths have ids in them."""
    method, route = scope["method"], route_of(scope)
    span.update_name(method if route is None else f"{method} {route}")
    if route is not None:
        span.set_attribute("http.route", route)
