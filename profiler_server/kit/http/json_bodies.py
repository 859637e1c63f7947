"""JSON bodies: parsed and checked in one step, off the event loop, within bounds.

The framework would make Python objects of the JSON, in the event loop, messages of those, and a
report of everything that is wrong with them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import SchemaValidator, from_json

from profiler_server.kit.invalid_requests import pointer
from profiler_server.kit.problems import Problem

#: bytes; to parse so little takes less time than to ask another thread
_AT_ONCE = 4_096
#: arrays and objects of a body, and values: a pair of brackets takes 2 bytes of a body and some
#: hundred of memory
_MOST_CONTAINERS, _MOST_VALUES = 100_000, 1_000_000
#: names in one object: each that no message has takes thousands of bytes; so many colons need no
#: closer look
_MOST_NAMES, _FEW_COLONS = 1_000, 50_000
_MARKS = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?(?:\s*+(?P<name>:))?|(?P<begin>[\[{])|(?P<end>[\]}])|(?P<value>,)',
    re.DOTALL,
)
#: wrong values that are counted, but not described
_MOST_ERRORS = 10_000
#: bytes of a body whose wrong values are repeated
_REPEATED = 65_536
#: what is added to pydantic's schemas of some types
_NARROWER = {
    **{kind: {"fail_fast": True} for kind in ("list", "set", "frozenset", "tuple")},
    **{kind: {"strict": True} for kind in ("bool", "int", "float", "datetime")},
}
#: as JSON has it
_NUL = rb"\u0000"
#: Parsing holds the interpreter's lock: more threads would take more memory and no less time.
_PARSER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="parser")


class JsonRequest(Request):
    """A request whose JSON is a message already."""

    message: BaseModel

    async def json(self) -> Any:
        """The message, which the framework takes as it is."""
        return self.message


async def read_message(request: JsonRequest, kind: type[BaseModel]) -> bool:
    """Reads the body and makes it the request's message; False: there is no body.

    Raises:
        Problem: `unsupported-media-type`, or `body-too-large`, also for more values than fit.
        RequestValidationError: the body is no JSON, or no message of this kind.
    """
    body = await request.body()
    if not body:
        return False
    _refuse_other_formats(request)
    if len(body) <= _AT_ONCE:
        request.message = _parsed(kind, body)
    else:
        loop = asyncio.get_running_loop()
        request.message = await loop.run_in_executor(_PARSER, _parsed, kind, body)
    return True


def _refuse_other_formats(request: Request) -> None:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(
            "unsupported-media-type",
            "expected a body as it is, got one with a Content-Encoding; send it without",
        )
    given = request.headers.get("Content-Type", "")
    media_type = given.partition(";")[0].strip().lower()
    if not (media_type.startswith("application/") and media_type.endswith(("/json", "+json"))):
        raise Problem(
            "unsupported-media-type",
            f"expected a body with Content-Type: application/json, got {given or 'none'}",
        )


def _parsed(kind: type[BaseModel], body: bytes) -> BaseModel:
    _refuse_crumbs(body)
    try:
        message: BaseModel = _validator(kind).validate_json(body)
    except ValidationError as error:
        raise _refusal(error, body) from None
    if _NUL in body:
        _refuse_nul(message)
    return message


def _refuse_nul(message: BaseModel) -> None:
    """Refuses texts that PostgreSQL cannot hold, and names them.

    Raises:
        RequestValidationError: there are some.
    """
    places = list(_places_of_nul(message.model_dump(), ("body",)))
    if places:
        said = {"type": "nul", "msg": "has a NUL character, which no database holds; leave it out"}
        document = message.model_dump()
        raise RequestValidationError(
            [{**said, "loc": place, "pointer": pointer(place[1:], document)} for place in places]
        )


def _places_of_nul(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    match value:
        case str() if "\0" in value:
            yield place
        case dict():
            for name, inner in value.items():
                yield from _places_of_nul(inner, (*place, name))
        case list() | tuple():
            for number, inner in enumerate(value):
                yield from _places_of_nul(inner, (*place, number))


@cache
def _validator(kind: type[BaseModel]) -> SchemaValidator:
    """A message's validator that ends at the first wrong item of a list, and converts nothing."""

    def narrowed(schema: Any) -> Any:
        if isinstance(schema, list):
            return [narrowed(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        inner = {name: narrowed(one) for name, one in schema.items()}
        if schema.get("type") == "literal" and {type(one) for one in schema["expected"]} == {int}:
            # True equals 1, and 3.0 equals 3.
            return {"type": "chain", "steps": [{"type": "int", "strict": True}, inner]}
        return inner | _NARROWER.get(schema.get("type", ""), {})

    # Not with the validators that messages inside it were made with.
    return SchemaValidator(narrowed(kind.__pydantic_core_schema__), _use_prebuilt=False)


def _refuse_crumbs(body: bytes) -> None:
    """Refuses a body of so many tiny values that they would take many times its size in memory.

    Raises:
        Problem: `body-too-large`.
    """
    containers, values = body.count(b"[") + body.count(b"{"), body.count(b",")
    if _within(containers, values) and body.count(b":") <= _FEW_COLONS:
        return
    # Text may hold any number of these.
    containers = values = 0
    names = [0]
    for found in _MARKS.finditer(body):
        match found.lastgroup:
            case "name":
                names[-1] += 1
            case "begin":
                containers += 1
                names.append(0)
            case "end" if len(names) > 1:
                names.pop()
            case "value":
                values += 1
        if not _within(containers, values) or names[-1] > _MOST_NAMES:
            raise Problem(
                "body-too-large",
                f"a body has at most {_MOST_CONTAINERS} arrays and objects, {_MOST_VALUES} values, "
                f"and {_MOST_NAMES} of them in an object; send it in parts",
            )


def _within(containers: int, values: int) -> bool:
    return containers <= _MOST_CONTAINERS and values <= _MOST_VALUES


def _refusal(error: ValidationError, body: bytes) -> Exception:
    if error.error_count() > _MOST_ERRORS:
        return Problem(
            "invalid-request",
            f"body: {error.error_count()} values in it are wrong or unknown, too many to name; "
            f"/docs shows what a {error.title} looks like",
        )
    found = error.errors(include_url=False, include_input=len(body) <= _REPEATED)
    try:
        document = from_json(body)
    except ValueError:
        document = None
    return RequestValidationError(
        [
            {**one, "loc": ("body", *one["loc"]), "pointer": pointer(one["loc"], document)}
            for one in found
        ]
    )
