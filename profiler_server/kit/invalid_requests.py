"""What is wrong with a request that is not valid, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from netspec.validation import described

#: what pydantic calls a body that is no JSON, and a list without enough items
_NO_JSON, _TOO_SHORT = "json_invalid", "too_short"
_SHOWN_ERRORS = 20
#: where fields of the body are said to be
_BODY = "body"
#: a longer one is told by what holds it: names in a body are as long as their sender likes
_LONGEST_POINTER = 200
#: characters of a fragment that stay as they are. Source: RFC 3986, section 3.5
_UNQUOTED = "!$&'()*+,;=:@?-._~"


def describe(error: RequestValidationError, request: Request) -> str:
    """What is wrong with a request, field by field; what was misspelt with what may be meant."""
    errors = _without_echoes(error.errors())
    message = _message_of(request)
    lines = [_described(one, message) for one in errors[:_SHOWN_ERRORS]]
    if len(errors) > _SHOWN_ERRORS:
        lines.append(f"and {len(errors) - _SHOWN_ERRORS} more")
    return "; ".join(lines)


def invalid_values(error: RequestValidationError, request: Request) -> list[dict[str, str]]:
    """What is wrong with a request, for programs: details with pointers or parameters."""
    message = _message_of(request)
    return [
        _place(one) | {"detail": _described(one, message).partition(": ")[2]}
        for one in _without_echoes(error.errors())[:_SHOWN_ERRORS]
    ]


def _place(problem: Mapping[str, Any]) -> dict[str, str]:
    where, *inside = problem["loc"] or ("",)
    if where != _BODY:
        return {"parameter": str(inside[0])} if inside else {}
    return {"pointer": problem.get("pointer", "#")}


def pointer(place: Sequence[str | int], document: Any) -> str:
    """The JSON pointer (RFC 6901), as a fragment, of a place that pydantic names.

    Pydantic names the kinds of unions, too, which are no part of the document.

    Args:
        place: in the document.
        document: the body, as JSON has it.
    """
    path, value = "#", document
    for number, part in enumerate(place):
        is_there = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        # What is missing is named, though it is not there.
        if is_there or (number == len(place) - 1 and isinstance(value, dict)):
            token = str(part).replace("~", "~0").replace("/", "~1")
            longer = f"{path}/{quote(token, safe=_UNQUOTED)}"
            if len(longer) > _LONGEST_POINTER:
                break
            path = longer
        if is_there:
            value = value[part]
    return path


def _without_echoes(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The errors but those of lists that are too short only because of what is wrong in them."""
    above = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    return [error for error in errors if error["type"] != _TOO_SHORT or error["loc"] not in above]


def _described(problem: Mapping[str, Any], message: type[BaseModel] | None) -> str:
    if problem["type"] == _NO_JSON:
        return f"body: no JSON in UTF-8: {problem['ctx']['error']}"
    where, *inside = problem["loc"] or ("",)
    if where == _BODY and message is not None:
        of_message = described({**problem, "loc": inside}, message)
        return f"{_BODY}.{of_message}" if inside else f"{_BODY}: {of_message}"
    return described(problem)


def _message_of(request: Request) -> type[BaseModel] | None:
    """The message that an endpoint takes as its body; None: it takes none, or a form."""
    field = getattr(request.scope.get("route"), "body_field", None)
    message = None if field is None else field.field_info.annotation
    return message if isinstance(message, type) and issubclass(message, BaseModel) else None
