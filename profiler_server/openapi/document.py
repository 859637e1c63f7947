"""The OpenAPI document: an example for each body, and the problems of each operation."""

from __future__ import annotations

from typing import Any

from netspec.wire.columns import COLUMNS
from profiler_server.kit.problems import ProblemBody
from profiler_server.openapi.errors import responses
from profiler_server.openapi.examples import Examples
from profiler_server.openapi.plain_schemas import simplify

#: bodies that no schema describes
_TEXTS = {
    "text/event-stream": (
        'event: job_created\ndata: {"id": 17, "at": "2026-01-02T03:04:05Z", "kind": "job_created", '
        '"job_id": "job_5f0c9a1b2c3d4e5f", "device_id": null, "data": {"tasks": 142}}\nid: 17\n\n'
    ),
    "text/csv": ",".join(COLUMNS) + "\r\n",
    "text/plain": 'profiler_queue_tasks{target="0123456789abcdef"} 142.0\n',
}


def described(document: dict[str, Any]) -> dict[str, Any]:
    """The framework's document with examples and problems added."""
    schemas = document["components"]["schemas"]
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs")
    schemas["Problem"] = problem
    simplify(document)
    examples = Examples(schemas)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            # The framework's guess at what it answers to invalid requests.
            operation["responses"].pop("422", None)
            _exemplify(operation.get("requestBody", {}), examples)
            for response in operation["responses"].values():
                _exemplify(response, examples)
            operation["responses"].update(responses(path, operation))
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def _exemplify(body: dict[str, Any], examples: Examples) -> None:
    for media_type, content in body.get("content", {}).items():
        if media_type == "application/json":
            content["example"] = examples.of(content["schema"])
        elif media_type in _TEXTS:
            content["example"] = _TEXTS[media_type]
