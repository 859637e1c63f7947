"""Options that filter and sort lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from netspec.errors import UserError
from netspec.validation import first_problem
from netspec.wire import ListQuery

Query = TypeVar("Query", bound=ListQuery)

State = Annotated[
    list[str] | None, typer.Option("--state", help="Only those in this state; may be repeated.")
]
NamePart = Annotated[
    str | None, typer.Option("--name", help="Only those with this in their names.")
]
OwnerOption = Annotated[
    str | None, typer.Option("--owner", help="Only those of the token with this name or id.")
]
Label = Annotated[
    list[str] | None,
    typer.Option("--label", help="Only with this label, NAME or NAME=VALUE; may be repeated."),
]
Since = Annotated[
    str | None,
    typer.Option(help="Only from this time on, as in 2026-01-31 or 2026-01-31T08:00+01:00."),
]
Until = Annotated[str | None, typer.Option(help="Only before this time.")]
Sort = Annotated[
    str | None, typer.Option(help="What to sort by; a `-` before it puts the greatest first.")
]
Limit = Annotated[int, typer.Option(min=1, help="Show at most so many.")]


def query_of(kind: type[Query], **given: Any) -> Query:
    """A query of what options say; those that were left out are None or empty.

    Raises:
        UserError: a value is none that the list knows.
    """
    for name in {"since", "until"} & set(given):
        given[name] = _moment(name, given[name])
    named = {name: value for name, value in given.items() if value is not None}
    try:
        return kind.model_validate(named)
    except ValidationError as error:
        raise UserError(f"--{first_problem(error, kind).replace('_', '-')}") from error


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            f"--{name}: {text!r} is no time; expected one as in 2026-01-31 or 2026-01-31T08:00"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
