"""What lists are filtered and sorted by: each name of a list's query stands for SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVarTuple, get_args

from sqlalchemy import ColumnElement, Row, Select, or_
from sqlalchemy.orm import Session

from netspec.wire import ListQuery
from profiler_server.kit.sql.pages import Column, Page, PageRequest, read_page
from profiler_server.kit.sql.reach import Within, narrowed

#: from a value that a query names to what is true of the items that are meant
Condition = Callable[[Any], ColumnElement[bool]]
Selected = TypeVarTuple("Selected")


class Listing:
    """How a list answers its queries.

    Args:
        kind: of the queries.
        filters: a condition for each filter of the kind.
        orders: columns by name, which together are unique and never NULL, for each name that the
            kind sorts by.
        within: what of it a token may see that is limited to labels.

    Raises:
        TypeError: the kind has names without SQL, or lacks some that have it: a filter that filters
            nothing would look right.
    """

    def __init__(
        self,
        kind: type[ListQuery],
        filters: Mapping[str, Condition],
        orders: Mapping[str, tuple[Column, ...]],
        within: Within,
    ) -> None:
        named = set(kind.model_fields) - set(ListQuery.model_fields)
        sorts = {name.removeprefix("-") for name in get_args(kind.model_fields["sort"].annotation)}
        if named != set(filters) or sorts != set(orders):
            raise TypeError(
                f"{kind.__name__} filters by {sorted(named)} and sorts by {sorted(sorts)}, its "
                f"list by {sorted(filters)} and {sorted(orders)}"
            )
        self._filters = filters
        self._orders = orders
        self._within = within

    def page(
        self, session: Session, rows: Select[*tuple[Any, ...]], query: ListQuery
    ) -> Page[Row[*tuple[Any, ...]]]:
        """The page that a query asks for.

        Args:
            session: a transaction.
            rows: everything that there is.
            query: of the list's kind.

        Raises:
            Problem: `bad-request`: the cursor was not made for this list in this order.
        """
        return read_page(
            session,
            self.filtered(session, rows, query),
            self._orders[query.sort.removeprefix("-")],
            PageRequest(query.limit, query.cursor),
            descending=query.sort.startswith("-"),
        )

    def filtered(
        self, session: Session, rows: Select[*Selected], query: ListQuery
    ) -> Select[*Selected]:
        """What a query means of everything that there is, and who asks may see."""
        rows = narrowed(session, rows, self._within)
        for name, condition in self._filters.items():
            value = getattr(query, name)
            if value is not None and value != ():
                rows = rows.where(condition(value))
        return rows


def equal(column: ColumnElement[Any] | Column) -> Condition:
    """The column has the value."""
    return lambda value: column == value


def any_of(column: Column) -> Condition:
    """The column has one of the values."""
    return column.in_


def part_of(column: ColumnElement[Any] | Column) -> Condition:
    """The column's text contains the value, in either case."""
    return lambda value: column.icontains(value, autoescape=True)


def since(column: Column) -> Condition:
    """The column has the time or a later one."""
    return lambda value: column >= value


def until(column: Column) -> Condition:
    """The column has an earlier time."""
    return lambda value: column < value


def states(condition_of: Mapping[str, ColumnElement[bool]]) -> Condition:
    """The item is in one of the states, each of which is a condition."""

    def condition(wanted: Collection[str]) -> ColumnElement[bool]:
        return or_(*(condition_of[state] for state in wanted))

    return condition
