"""No connection to the database is free: an answer that says so, and a server that still lives."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from profiler_server.kit.sql import database as databases
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi


def test_an_exhausted_pool_is_told_and_passes(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_POOL_SIZE", 2)
    monkeypatch.setattr(databases, "_POOL_OVERFLOW", 1)
    monkeypatch.setattr(databases, "_POOL_TIMEOUT_S", 0.2)
    api = make_api()
    # The token is known from here on: checking it takes a connection.
    api.call("GET", "/v1/targets")
    engine = api.http.app.state.database.engine  # type: ignore[attr-defined]
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(engine.connect())
        for method, path, body in (
            ("GET", "/v1/targets", None),
            ("POST", "/v1/devices", farm.registration()),
            ("POST", "/v1/jobs", farm.job(farm.blocks(1))),
        ):
            answer = api.call(method, path, body, status=503)
            assert answer.json()["type"] == "/problems/database-unavailable"
            assert int(answer.headers["Retry-After"]) > 0
        api.call("GET", "/healthz")
    api.call("GET", "/v1/targets")
    api.register(farm.registration())
