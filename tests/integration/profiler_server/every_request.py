"""Requests made from the OpenAPI document, and a service that is asked them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from netspec.wire import PublishRequest
from profiler_server.app import create_app
from profiler_server.auth import service as auth
from profiler_server.auth import tokens
from profiler_server.auth.scopes import Scope
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql import schema as migrations
from profiler_server.kit.sql.database import Database
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.postgres import Postgres
from tests.integration.profiler_server.service import Api

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: the application's, says another test
DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"
#: ids of what there is, by the parameter or field that takes them
KNOWN: dict[str, str] = {}


def settings_in(folder: Path, database_url: str | None = None) -> Settings:
    return Settings(
        database_url=database_url or f"sqlite:///{folder / 'profiler.db'}",
        server_key_file=folder / "server.key",
        rate_limit_per_s=0,
    )


def requests(*, systematic: bool) -> OpenApiSchema:
    """The document's requests, valid and invalid.

    Args:
        systematic: also each value at and beyond each bound, by itself: thousands of requests.
    """
    # Read rather than made by an application: every process that collects tests comes here.
    schema = schemathesis.openapi.from_path(
        DOCUMENT,
        config=SchemathesisConfig.from_dict(
            {
                "seed": 1,
                "generation": {"mode": "all", "deterministic": True, "database": "none"},
                "phases": {"coverage": {"enabled": systematic}},
            }
        ),
    )
    schema.hook(map_path_parameters)
    schema.hook(map_body)
    schema.hook(map_query)
    return schema


def map_path_parameters(_context: object, path_parameters: Any) -> Any:
    return with_known(path_parameters)


def map_query(_context: object, query: Any) -> Any:
    # Nobody needs to wait for 30 s.
    return {**query, "wait": 0} if isinstance(query, dict) and "wait" in query else query


def map_body(_context: object, body: Any) -> Any:
    body = with_known(body)
    if isinstance(body, dict) and "wait_s" in body:
        # Nobody needs to wait for 30 s.
        return {**body, "wait_s": 0}
    return body


def with_known(values: Any) -> Any:
    """The values, with every other id in them replaced by one that exists."""
    if isinstance(values, list):
        return [with_known(value) for value in values]
    if not isinstance(values, dict):
        return values
    return {
        name: KNOWN[name]
        if name in KNOWN and zlib.crc32(repr(value).encode()) % 2
        else with_known(value)
        for name, value in values.items()
    }


@pytest.fixture(scope="module")
def api_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serving(settings_in(tmp_path_factory.mktemp("every-request"))) as made:
        yield made


@pytest.fixture(scope="module")
def api_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres
) -> Iterator[Api]:
    with (
        postgres.database() as url,
        serving(settings_in(tmp_path_factory.mktemp("every-request"), url)) as made,
    ):
        yield made


@contextmanager
def serving(server: Settings) -> Iterator[Api]:
    """A service with a device, a job, a lease, visits and a snapshot."""
    database = Database(server.database_url)
    migrations.upgrade(database)
    with database.write() as session:
        token = auth.create(
            session, tokens.server_key(server.server_key_file), "test", [Scope.ADMIN]
        )
    database.close()
    with TestClient(create_app(server), raise_server_exceptions=False) as client:
        made = Api(client, token)
        device = made.register(farm.registration()).id
        job = made.file(farm.job(farm.blocks(3), networks=[farm.network([2])], rounds=1))
        lease = made.claim(device)
        made.upload(farm.visits(lease, device, rounds=1))
        path = f"/v1/targets/{lease.target_id}/snapshots"
        snapshot = made.call("POST", path, PublishRequest(), status=201).json()
        KNOWN.update(
            target_id=lease.target_id,
            device_id=device,
            job_id=job.id,
            lease_id=lease.id,
            snapshot_id=snapshot["id"],
            subject_hash=farm.blocks(1)[0].content_hash,
            key=farm.blocks(1)[0].key,
        )
        yield made


def check(case: schemathesis.Case[Any], api: Api) -> None:
    """Asks, and compares the answer with the document."""
    sent = case.as_transport_kwargs(base_url="http://testserver", headers=api.headers)
    sent.pop("cookies", None)
    # The keyword of `requests` for a body of bytes.
    if "data" in sent:
        sent["content"] = sent.pop("data")
    try:
        answer = api.http.request(**sent)
    except httpx2.InvalidURL:
        # The client sends no address of over 65,536 characters; the server's own limit is lower,
        # and told by the tests of slow and of large requests.
        return
    case.validate_response(answer, checks=CHECKS)
