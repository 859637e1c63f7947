"""Pages of the REST API: every operation and every message, from `docs/openapi.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown.extensions.toc import slugify

from scripts.site.markdown import code, page, table

#: a JSON object of the OpenAPI document
Json = dict[str, Any]

_SOURCE = "`docs/openapi.json`"
_INTRODUCTION = (
    "Every request under `/v1` carries `Authorization: Bearer TOKEN`. How the server behaves, "
    "which scope allows what, lists, repeats and limits: [the server](../server.md). The same for "
    "generators of clients: [openapi.json](../openapi.json), and `/docs` of a running server."
)


#: what the operations of a tag are about, in the order of the pages
RESOURCES = {
    "tables": "Tables: entries, look-ups, predictions, snapshots",
    "jobs": "Jobs",
    "devices": "Devices and targets",
    "models": "Uploaded models",
    "evaluations": "Accuracy of models on targets",
    "sustained": "Speed without pause on targets",
    "energy": "Energy of inferences on targets",
    "measurements": "Visits, and taking them back",
    "leases": "Leases of agents",
    "events": "Events and webhooks",
    "tokens": "Tokens",
    "health": "Health and metrics",
}
_MESSAGES = "rest-messages.md"


def rest_pages(description: Path) -> dict[str, str]:
    """`docs/reference/rest.md`, a page a resource and one of messages, by file name.

    Args:
        description: the OpenAPI document.
    """
    api: Json = json.loads(description.read_text(encoding="utf-8"))
    operations: dict[str, list[tuple[str, Json]]] = {tag: [] for tag in RESOURCES}
    for path, by_method in api["paths"].items():
        for method, operation in by_method.items():
            # A tag without a title ends the build here.
            operations[operation["tags"][0]].append((f"{method.upper()} {path}", operation))
    index = [_INTRODUCTION]
    pages = {}
    for tag, title in RESOURCES.items():
        name = f"rest-{tag}.md"
        parts: list[str] = []
        rows = []
        for heading, operation in operations[tag]:
            parts += [f"### {heading}", *_operation(operation)]
            rows.append([f"[{heading}]({name}#{_anchor(heading)})", _sentence(operation)])
        pages[name] = page(f"REST: {title}", _SOURCE, parts)
        index += [f"## [{title}]({name})", table(["operation", "does"], rows)]
    index.append(f"What is sent and answered: [messages]({_MESSAGES}).")
    messages: list[str] = []
    for name, schema in api["components"]["schemas"].items():
        messages += [f"### {name}", *_message(schema)]
    pages[_MESSAGES] = page("REST: messages", _SOURCE, messages)
    return {"rest.md": page("REST", _SOURCE, index), **pages}


def _sentence(operation: Json) -> str:
    """What an operation does, from the first sentence of its description."""
    described = " ".join(str(operation.get("description") or operation["summary"]).split())
    return described.partition(". ")[0].rstrip(".")


def _anchor(heading: str) -> str:
    """As the site's headings have it."""
    return slugify(heading, "-")


def _operation(operation: Json) -> Iterator[str]:
    yield operation.get("description") or operation["summary"]
    if parameters := operation.get("parameters"):
        rows = [
            [
                code(one["name"]) + (" (required)" if one.get("required") else ""),
                one["in"],
                type_of(one["schema"]),
                one.get("description", ""),
            ]
            for one in parameters
        ]
        yield table(["parameter", "in", "type", "means"], rows)
    if body := operation.get("requestBody"):
        yield "Request: " + ", ".join(_contents(body))
        if example := _example(body):
            yield example
    answers = operation["responses"]
    good = [status for status in answers if not status.startswith(("4", "5"))]
    for status in good:
        shown = ", ".join(_contents(answers[status])) or answers[status]["description"]
        yield f"Answer {status}: {shown}"
        if example := _example(answers[status]):
            yield example
    problems = [f"{status}: {_text(answers[status])}" for status in answers if status not in good]
    if problems:
        yield "\n".join(f"- {problem}" for problem in problems)


def _text(answer: Json) -> str:
    return " ".join(str(answer["description"]).split())


def _contents(body: Json) -> Iterator[str]:
    for media, content in body.get("content", {}).items():
        shown = type_of(content.get("schema", {}))
        yield f"{shown} as {code(media)}" if shown else code(media)


def _example(body: Json) -> str | None:
    for content in body.get("content", {}).values():
        if "example" in content:
            return "```json\n" + json.dumps(content["example"], indent=2) + "\n```"
    return None


def _message(schema: Json) -> Iterator[str]:
    if description := schema.get("description"):
        yield str(description)
    if values := schema.get("enum"):
        yield "One of " + ", ".join(code(value) for value in values) + "."
    required = schema.get("required", [])
    if fields := schema.get("properties"):
        rows = [
            [code(name), type_of(field), _rule(field, name in required)]
            for name, field in fields.items()
        ]
        yield table(["field", "type", "means"], rows)


def _rule(field: Json, required: bool) -> str:
    said = [str(field["description"])] if "description" in field else []
    if required:
        said.append("required")
    elif field.get("default") is not None:
        said.append(f"default {code(json.dumps(field['default']))}")
    return "; ".join(said)


def type_of(schema: Json) -> str:
    """A schema in a few words, with links to messages."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}]({_MESSAGES}#{name.lower()})"
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "enum" in schema:
        return ", ".join(code(json.dumps(value)) for value in schema["enum"])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        shown = [type_of(choice) for choice in choices if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(shown))
    if schema.get("type") == "array":
        inner = schema.get("items") or {}
        return f"list of {type_of(inner)}" if inner else "list"
    kind = str(schema.get("format") or schema.get("type") or "")
    limits = [
        f"{sign} {schema[name]}"
        for name, sign in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
        )
        if name in schema
    ]
    return " ".join([kind, *limits])
