"""What the published formats have in common: prices, and names that cannot be represented."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from netspec.equivalents import equivalents
from netspec.errors import UserError
from netspec.operators import OPERATOR, Operator, OperatorBase, Precision
from netspec.protocol import TargetIdentity
from netspec.validation import first_problem
from netspec.wire import Calibration

#: files of published tables are some 100 KB; FBNet's and snapshots have a few MB
MAX_BYTES = 16 * 2**20
#: half of the normal 95 % interval in standard errors
NORMAL_95 = 1.959963984540054
#: of the names in a message; the others are counted
MOST_NAMED = 10
_LONGEST_NAME = 160


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
    #: None: the format does not say
    measured_at: datetime | None = None


@dataclass(frozen=True)
class ReadTable:
    """A file's prices, and what is left out: why, by the name that the file uses."""

    prices: tuple[Price, ...]
    left_out: Mapping[str, str]
    #: the one device that the file names, None where the format names none
    device: str | None = None
    #: what the latencies are true for, where the format says all of it
    identity: TargetIdentity | None = None
    #: how sums of the prices map to whole networks, where the format says so
    calibrations: tuple[Calibration, ...] = ()


@dataclass(frozen=True)
class TableToWrite:
    """What becomes a document."""

    prices: tuple[Price, ...]
    #: of the target, where the format names one
    device: str
    #: for people, in the document's first line; empty: none
    header: str = ""


@dataclass(frozen=True)
class WrittenTable:
    """A document, and what is left out: why, by canonical key."""

    text: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    #: for people, beside the document; empty: nothing
    note: str = ""


@dataclass(frozen=True)
class TableFormat:
    """A published format.

    `read(text, precision)` raises `TableUnreadable`; `precision` is None where the format or
    the file names it. `write(table)` leaves out what it has no place for.
    """

    #: whether operators of both precisions can stand in one document
    names_precision: bool
    names_device: bool
    #: whether it names everything that a target is
    names_target: bool
    #: whether a document can begin with a line for people
    has_header: bool
    read: Callable[[str, Precision | None], ReadTable]
    #: None: documents of this format are written by the server alone
    write: Callable[[TableToWrite], WrittenTable] | None


def make_operator(**fields: Any) -> Operator:
    """The operator of these fields.

    Raises:
        Unrepresentable: there is none.
    """
    try:
        return OPERATOR.validate_python(fields)
    except ValidationError as error:
        raise Unrepresentable(first_problem(error)) from error


def of_kinds(operator: Operator, kinds: tuple[type[OperatorBase], ...]) -> Operator:
    """The operator, or an equivalent one, of the first of the kinds that a format has.

    Raises:
        Unrepresentable: it is none of them, or padded as no format says.
    """
    if operator.padding != "same":
        raise Unrepresentable(f"the format does not say that padding is {operator.padding}")
    for one in (operator, *equivalents(operator)):
        if isinstance(one, kinds):
            return one
    raise Unrepresentable(f"the format knows no {operator.title}")


def normal_price(operator: Operator, mean_ms: float, std_ms: float, count: int) -> Price:
    """A mean over `count` runs with the normal 95 % interval of it, never below 0."""
    half = NORMAL_95 * std_ms / math.sqrt(count)
    return Price(operator, mean_ms, max(mean_ms - half, 0.0), mean_ms + half, count)


def first_of(names: Sequence[str]) -> str:
    """The first names, none of them long, and how many more there are."""
    shown = ", ".join(map(_clipped, names[:MOST_NAMED]))
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def listing(left_out: Mapping[str, str]) -> str:
    """The first names, grouped by why they are left out, and how many more, in one line."""
    groups: dict[str, list[str]] = {}
    for name, why in left_out.items():
        groups.setdefault(why, []).append(name)
    parts: list[str] = []
    room = MOST_NAMED
    unnamed = len(left_out)
    for why, group in groups.items():
        if room <= 0:
            break
        names = sorted(group)[:room]
        room -= len(names)
        unnamed -= len(group)
        more = f" and {len(group) - len(names)} more" if len(group) > len(names) else ""
        parts.append(f"{why}: {', '.join(map(_clipped, names))}{more}")
    return "; ".join([*parts, *([f"and {unnamed} more for other reasons"] if unnamed else [])])


def _clipped(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def require_length(text: str) -> None:
    """Checks a document's length before it is parsed.

    Raises:
        TableUnreadable: it is longer than `MAX_BYTES`.
    """
    if len(text) > MAX_BYTES:
        raise TableUnreadable(
            f"the table is larger than {MAX_BYTES // 2**20} MiB; split it into several files"
        )
