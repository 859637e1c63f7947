from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import netspec.wire
from profiler_server.app import create_app
from profiler_server.kit.problems import KINDS
from profiler_server.kit.settings import Settings
from profiler_server.openapi.errors import OWN, kinds_of

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("openapi")
    settings = Settings(database_url=f"sqlite:///{folder / 'x.db'}", server_key_file=folder / "key")
    return create_app(settings).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def test_the_committed_document_is_the_applications(document: dict[str, Any]) -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == document, (
        "run `profiler-server openapi --output docs/openapi.json`"
    )


def test_ids_of_operations_are_names_of_functions(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", one) for one in ids), ids


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Media type and content of every body that is text."""
    for _, operation in operations(document):
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media_type, content in body.get("content", {}).items():
                if "binary" not in json.dumps(content.get("schema", {})):
                    yield media_type, content


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    without = [body for _, body in bodies(document) if not {"example", "examples"} & set(body)]
    assert without == []


def test_examples_are_what_they_say(document: dict[str, Any]) -> None:
    checked = set()
    for media_type, content in bodies(document):
        if media_type != "application/json":
            continue
        schema, example = content["schema"], content["example"]
        if schema.get("type") == "array":
            schema, (example,) = schema["items"], example
        name = schema["$ref"].rsplit("/", 1)[-1]
        message = getattr(netspec.wire, name, None)
        if message is None:
            assert name == "Health"
            continue
        assert issubclass(message, BaseModel)
        message.model_validate_json(json.dumps(example))
        checked.add(name)
    assert {"JobRequest", "VisitBatch", "Snapshot", "Lease", "Prediction", "Device"} <= checked


def test_every_query_parameter_says_what_it_is(document: dict[str, Any]) -> None:
    asked = [
        (operation["operationId"], one)
        for _, operation in operations(document)
        for one in operation.get("parameters", [])
        if one["in"] == "query"
    ]
    assert len(asked) > 10
    assert [(name, one["name"]) for name, one in asked if not one.get("description")] == []


def test_every_operation_names_its_problems(document: dict[str, Any]) -> None:
    assert {operation["operationId"] for _, operation in operations(document)} == set(OWN)
    named = set()
    for path, operation in operations(document):
        for kind in kinds_of(path, operation):
            status = str(KINDS[kind][0])
            content = operation["responses"][status]["content"]["application/problem+json"]
            assert kind in content["examples"]
            named.add(kind)
    # These are of no operation: bytes that are no HTTP, and addresses that are none.
    assert set(KINDS) - named == {
        *("not-found", "method-not-allowed", "request-timeout", "head-too-large")
    }
