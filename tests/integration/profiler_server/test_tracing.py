"""Traces of a real server, at a real receiver of OTLP."""

from __future__ import annotations

import gzip
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from netspec.console.connection import DATA_DIR_VARIABLE
from netspec.console.tokens import load_token
from netspec.errors import UserError
from profiler_server.tracing import wanted_exporter
from tests.integration.profiler_server.process import Server
from tests.waiting import wait_for

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """What was received."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.url = ""

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in tuple(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            collector.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def values(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


def test_requests_and_their_sql_are_spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=lab",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with Server(tmp_path, variables=variables) as server:
            monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
            token = load_token(server.url)
            headers = {"Authorization": f"Bearer {token}", "traceparent": PARENT}
            assert httpx2.get(f"{server.url}/healthz").status_code == 200
            found = httpx2.get(f"{server.url}/v1/jobs/{'x' * 9}", headers=headers)
            assert found.status_code == 404
            httpx2.get(f"{server.url}/v1/nowhere")
            wait_for(lambda: bool(collector.named("GET")))
            code, errors = server.stop(signal.SIGTERM)
        assert (code, errors) == (0, "")
    (request,) = collector.named("GET /v1/jobs/{job_id}")
    assert request.kind == Span.SPAN_KIND_SERVER
    assert request.trace_id.hex() == PARENT.split("-")[1]
    assert request.parent_span_id.hex() == PARENT.split("-")[2]
    assert values(request)["http.route"] == "/v1/jobs/{job_id}"
    statements = [
        values(span)["db.statement"]
        for span in collector.spans
        if span.parent_span_id == request.span_id and "db.statement" in values(span)
    ]
    assert any("FROM jobs" in one for one in statements)
    # All is of requests, but not of those for health: the server's own looks are nobody's.
    assert all(
        span.parent_span_id or span.kind == Span.SPAN_KIND_SERVER for span in collector.spans
    )
    assert not [span for span in collector.spans if "healthz" in span.name]
    for received in collector.requests:
        text = str(received)
        assert token is not None
        assert token not in text
        assert "x" * 9 not in "".join(statements)
        (resource,) = received.resource_spans
        facts = {one.key: one.value.string_value for one in resource.resource.attributes}
        assert facts["service.name"] == "profiler-server"
        assert facts["deployment.environment"] == "lab"


@pytest.mark.parametrize(
    ("variables", "exporter"),
    [
        ({}, None),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, None),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x/v1/traces"}, "otlp"),
    ],
)
def test_the_standard_variables_decide(variables: dict[str, str], exporter: str | None) -> None:
    assert wanted_exporter(variables) == exporter


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ),
    ],
)
def test_what_is_not_here_is_told(variables: dict[str, str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        wanted_exporter(variables)
