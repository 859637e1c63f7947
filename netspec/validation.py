"""What pydantic has found wrong, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    """The first thing wrong with a message: where, if it is of a field, and what."""
    return described(error.errors()[0])


def described(one: Mapping[str, Any]) -> str:
    """One item of a validation error: where, if it is of a field, and what."""
    where = ".".join(str(part) for part in one["loc"])
    # What our own checks say is a sentence already.
    what = one["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
