"""Lists in pages: an opaque cursor names the last row that the client has seen.

A page begins after a row rather than at a number, so that rows which come or go
between two requests are neither skipped nor sent twice. Source of the header: RFC 8288.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from sqlalchemy import Row, Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.orm import UtcDateTime

MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100
MAX_CURSOR = 2_000

Item = TypeVar("Item")
#: a column by which a list is sorted
Column = InstrumentedAttribute[Any]


@dataclass(frozen=True)
class PageRequest:
    """Which page of a list."""

    limit: int = DEFAULT_LIMIT
    #: from the page before; None: the first page
    cursor: str | None = None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Part of a list."""

    items: Sequence[Item]
    #: cursor of the next page, None on the last one
    next_cursor: str | None

    def with_items(self, items: Sequence[Any]) -> Page[Any]:
        """The same page with its rows turned into something else."""
        return Page(items, self.next_cursor)


def read_page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    order: Sequence[Column],
    page_request: PageRequest,
    *,
    descending: bool = False,
) -> Page[Row[*tuple[Any, ...]]]:
    """One page of what a query finds.

    Args:
        session: a transaction.
        query: without limit; its own order is dropped.
        order: columns that sort the list and together are unique; none may be NULL.
        page_request: which page.
        descending: whether the greatest comes first.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    query = query.add_columns(*order)
    if page_request.cursor is not None:
        seen = tuple_(
            *map(literal, _decode(page_request.cursor, order), (one.type for one in order))
        )
        columns = tuple_(*order)
        query = query.where(columns < seen if descending else columns > seen)
    query = query.order_by(None).order_by(
        *(column.desc() if descending else column for column in order)
    )
    rows = session.execute(query.limit(page_request.limit + 1)).all()
    shown = rows[: page_request.limit]
    more = len(rows) > len(shown)
    next_cursor = _encode(shown[-1][-len(order) :], order) if more else None
    return Page(shown, next_cursor)


def _list_name(order: Sequence[Column]) -> int:
    return zlib.crc32(",".join(str(column) for column in order).encode())


def _encode(values: Sequence[Any], order: Sequence[Column]) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    document = json.dumps([_list_name(order), *plain], separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def _decode(cursor: str, order: Sequence[Column]) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        document = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return _values(document, order)
    except (ValueError, TypeError, binascii.Error) as error:
        raise Problem(
            "invalid-request",
            "query.cursor: not a cursor of this list; take it from the `Link` header of the page "
            "before, or leave it out for the first page",
        ) from error


def _values(document: Any, order: Sequence[Column]) -> list[Any]:
    if not isinstance(document, list) or document[:1] != [_list_name(order)]:
        raise ValueError("a cursor of another list")
    return [_value(value, column) for value, column in zip(document[1:], order, strict=True)]


def _value(value: Any, column: Column) -> Any:
    if isinstance(column.type, UtcDateTime):
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None:
            raise ValueError("a time needs its zone")
        return parsed
    wanted = column.type.python_type
    if type(value) is not wanted or (isinstance(value, str) and "\0" in value):
        raise ValueError(f"expected {wanted.__name__}, got {value!r}")
    return value


class Paging:
    """Dependency of an endpoint that answers with a list.

    The body is the page's items; a `Link` header with `rel="next"` leads to the next page
    and is absent on the last one.
    """

    def __init__(
        self,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items on a page")] = (
            DEFAULT_LIMIT
        ),
        cursor: Annotated[
            str | None,
            Query(max_length=MAX_CURSOR, description="From the `Link` header of the page before"),
        ] = None,
    ) -> None:
        self._request = request
        self._response = response
        self.page_request = PageRequest(limit, cursor)

    def answer(self, page: Page[Item]) -> list[Item]:
        """The body; the header is set on the response."""
        if page.next_cursor is not None:
            kept = [
                (name, value)
                for name, value in self._request.query_params.multi_items()
                if name != "cursor"
            ]
            query = urlencode([*kept, ("cursor", page.next_cursor)])
            self._response.headers["Link"] = f'<{self._request.url.path}?{query}>; rel="next"'
        return list(page.items)


PagingDep = Annotated[Paging, Depends()]
