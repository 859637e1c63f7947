"""What the one who asks may see: a session carries it, and lists and look-ups are narrowed to it.

What that comes to in SQL, `profiler_server.reach` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, select, true
from sqlalchemy.orm import Session

#: under which a request's scope, and a session's `info`, have a `Reach`; without: everything
REACH = "profiler_reach"
Selected = TypeVarTuple("Selected")


@dataclass(frozen=True)
class Reach:
    """The targets and devices that have all of a token's labels, and what it has registered."""

    token_id: str
    #: names and values, by name
    labels: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.labels)


#: what is true of the rows within a reach
Within = Callable[[Reach], ColumnElement[bool]]


def not_about_targets(_: Reach) -> ColumnElement[bool]:
    """Rows that everybody may see, or whose owner is asked for."""
    return true()


def of_what_was_named(_: Reach) -> ColumnElement[bool]:
    """Rows of a target or job that the request names, which was looked at before."""
    return true()


def reach_of(session: Session) -> Reach | None:
    """What the one may see for whom the transaction is; None: everything."""
    found: Reach | None = session.info.get(REACH)
    return found


def narrowed(session: Session, rows: Select[*Selected], within: Within) -> Select[*Selected]:
    """Those of the rows that the one may see for whom the transaction is."""
    reach = reach_of(session)
    return rows if reach is None else rows.where(within(reach))


def is_within(session: Session, within: Within) -> bool:
    """Whether the one may see it for whom the transaction is."""
    reach = reach_of(session)
    return reach is None or bool(session.scalar(select(within(reach))))
