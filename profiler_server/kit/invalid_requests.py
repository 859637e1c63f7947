"""What is wrong with a request that is not valid, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from netspec.validation import described

#: what pydantic calls a body that is no JSON, and a list without enough items
_NO_JSON, _TOO_SHORT = "json_invalid", "too_short"
_SHOWN_ERRORS = 20


def describe(error: RequestValidationError) -> str:
    """What is wrong with a request, field by field."""
    errors = _without_echoes(error.errors())
    lines = [_described(one) for one in errors[:_SHOWN_ERRORS]]
    if len(errors) > _SHOWN_ERRORS:
        lines.append(f"and {len(errors) - _SHOWN_ERRORS} more")
    return "; ".join(lines)


def _without_echoes(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The errors but those of lists that are too short only because of what is wrong in them."""
    above = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    return [error for error in errors if error["type"] != _TOO_SHORT or error["loc"] not in above]


def _described(problem: Mapping[str, Any]) -> str:
    if problem["type"] == _NO_JSON:
        return f"body: no JSON in UTF-8: {problem['ctx']['error']}"
    return described(problem)
