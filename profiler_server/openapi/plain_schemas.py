"""Schemas in the part of JSON Schema that generators of clients understand.

What is said of values stays; only the way in which it is said changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_REF = "#/components/schemas/"
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
#: the first that 64 bits do not hold; the framework makes floats of bounds, which round up to it
_BEYOND = 2**63
#: a schema's own name would be taken from the field that it stands in, and meet another's
_LABELS = "Labels"


def simplify(document: dict[str, Any]) -> None:
    """Changes the document's schemas in place."""
    schemas: dict[str, Schema] = document["components"]["schemas"]
    _name_labels(schemas)
    for schema in _schemas_in(document):
        _keep_bounds_whole(schema)
    for name in _sent(document):
        for field in schemas[name].get("properties", {}).values():
            _tell_default(field)


def _name_labels(schemas: dict[str, Schema]) -> None:
    """Gives the labels of devices, which stand in several messages, a schema of their own."""
    fields = [
        (place, key)
        for schema in list(schemas.values())
        for place in _schemas_in(schema)
        for key, inner in _children(place)
        if isinstance(inner, dict) and "patternProperties" in inner
    ]
    for place, key in fields:
        labels = {name: value for name, value in place[key].items() if name != "title"}
        if schemas.setdefault(_LABELS, labels) != labels:
            raise TypeError("there are two kinds of labels; the other one needs a name, too")
        place[key] = {"$ref": _REF + _LABELS}


def _keep_bounds_whole(schema: Schema) -> None:
    if schema.get("type") != "integer":
        return
    for name in _BOUNDS:
        if name in schema:
            bound = int(schema[name])
            schema[name] = bound - 1 if bound == _BEYOND else bound


def _tell_default(field: Schema) -> None:
    """Says the default of a field that may be left out of a request in its description.

    A field with a `default` is one that is always there to generators of answers' types, and they
    use the same types for requests. What tells operators from each other has to be there.
    """
    if "default" in field and "const" not in field:
        default = field.pop("default")
        if default is not None:
            said = [field["description"]] if "description" in field else []
            field["description"] = "; ".join([*said, f"default `{json.dumps(default)}`"])


def _sent(document: dict[str, Any]) -> set[str]:
    """Names of the schemas that requests are made of."""
    schemas = document["components"]["schemas"]
    found: set[str] = set()
    left = [
        operation["requestBody"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    while left:
        for schema in _schemas_in(left.pop()):
            name = str(schema.get("$ref", "")).removeprefix(_REF)
            if name and name not in found:
                found.add(name)
                left.append(schemas[name])
    return found


def _schemas_in(value: Any) -> Iterator[Schema]:
    """Every object of a document, itself and what is in it."""
    if isinstance(value, dict):
        yield value
        for _, inner in _children(value):
            yield from _schemas_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _schemas_in(inner)


def _children(value: Schema) -> list[tuple[Any, Any]]:
    # Examples are values, not schemas.
    return [(key, inner) for key, inner in value.items() if key not in ("example", "examples")]
