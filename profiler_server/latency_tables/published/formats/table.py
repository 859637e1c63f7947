"""What the published formats have in common: prices, and names that cannot be represented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from netspec.errors import UserError
from netspec.operators import OPERATOR, Operator, Precision
from netspec.validation import first_problem

#: files of published tables are some 100 KB; FBNet's has a few MB
MAX_BYTES = 8 * 2**20


class TableUnreadable(UserError):
    """A file is no table of the format that it is said to have."""


class Unrepresentable(Exception):
    """Why one record has no counterpart on the other side."""


@dataclass(frozen=True)
class Price:
    """What a table says of one operator, in ms."""

    operator: Operator
    value_ms: float
    #: what the format knows of the value's spread
    low_ms: float
    high_ms: float
    #: measurements behind the value
    count: int


@dataclass(frozen=True)
class ReadTable:
    """A file's prices, and what is left out: why, by the name that the file uses."""

    prices: tuple[Price, ...]
    left_out: Mapping[str, str]
    #: the one device that the file names, None where the format names none
    device: str | None = None


@dataclass(frozen=True)
class WrittenTable:
    """A document, and what is left out: why, by canonical key."""

    text: str
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class TableFormat:
    """A published format.

    `read(text, precision)` raises `TableUnreadable`; `precision` is None where the
    format names it. `write(prices, device)` uses `device` where the format names one.
    """

    names_precision: bool
    names_device: bool
    read: Callable[[str, Precision | None], ReadTable]
    write: Callable[[tuple[Price, ...], str], WrittenTable]


def make_operator(**fields: Any) -> Operator:
    """The operator of these fields.

    Raises:
        Unrepresentable: there is none.
    """
    try:
        return OPERATOR.validate_python(fields)
    except ValidationError as error:
        raise Unrepresentable(first_problem(error)) from error


def listing(left_out: Mapping[str, str]) -> str:
    """Every name, grouped by why it is left out, in one line."""
    names: dict[str, list[str]] = {}
    for name, why in left_out.items():
        names.setdefault(why, []).append(name)
    return "; ".join(f"{why}: {', '.join(sorted(group))}" for why, group in names.items())


def require_length(text: str) -> None:
    """Checks a document's length before it is parsed.

    Raises:
        TableUnreadable: it is longer than `MAX_BYTES`.
    """
    if len(text) > MAX_BYTES:
        raise TableUnreadable(
            f"the table is larger than {MAX_BYTES // 2**20} MiB; split it into several files"
        )
