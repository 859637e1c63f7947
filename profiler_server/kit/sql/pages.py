"""Lists in pages: an opaque, signed cursor names the last row that the client has seen.

A page begins after a row rather than at a number, so that rows which come or go
between two requests are neither skipped nor sent twice. Source of the header: RFC 8288.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from sqlalchemy import Row, Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import CURSOR_KEY
from profiler_server.kit.sql.orm import UtcDateTime

DEFAULT_LIMIT = 100
_SIGNATURE_BYTES = 16

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
        Problem: `bad-request`: the cursor was not made for this list by this database's servers.
    """
    query = query.add_columns(*order)
    sorted_by = _named(order, descending=descending)
    if page_request.cursor is not None:
        last = _decode(session, page_request.cursor, order, sorted_by)
        seen = tuple_(*map(literal, last, (one.type for one in order)))
        columns = tuple_(*order)
        query = query.where(columns < seen if descending else columns > seen)
    query = query.order_by(None).order_by(
        *(column.desc() if descending else column for column in order)
    )
    rows = session.execute(query.limit(page_request.limit + 1)).all()
    shown = rows[: page_request.limit]
    more = len(rows) > len(shown)
    next_cursor = _encode(session, shown[-1][-len(order) :], sorted_by) if more else None
    return Page(shown, next_cursor)


def _named(order: Sequence[Column], *, descending: bool) -> bytes:
    """The list and its order, which a cursor is true for."""
    return f"{','.join(map(str, order))}{' descending' if descending else ''}".encode()


def _encode(session: Session, values: Sequence[Any], sorted_by: bytes) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    document = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    return _signed(session, document.encode(), sorted_by)


def _signed(session: Session, document: bytes, sorted_by: bytes) -> str:
    signs = hmac.new(session.info[CURSOR_KEY], sorted_by, hashlib.sha256)
    signs.update(b"\n" + document)
    signed = signs.digest()[:_SIGNATURE_BYTES] + document
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def _decode(session: Session, cursor: str, order: Sequence[Column], sorted_by: bytes) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        signed = base64.b64decode(padded, altchars=b"-_", validate=True)
    except ValueError:
        signed = b""
    document = signed[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(cursor.encode(), _signed(session, document, sorted_by).encode()):
        raise Problem(
            "bad-request",
            "query.cursor: not a cursor of this list in this order; take it from the `Link` header "
            "of the page before, or leave it out for the first page",
        )
    return [
        datetime.fromisoformat(value) if isinstance(column.type, UtcDateTime) else value
        for value, column in zip(json.loads(document), order, strict=True)
    ]


class Paging:
    """Dependency of an endpoint that answers with a list.

    The body is the page's items; a `Link` header with `rel="next"` leads to the next page
    and is absent on the last one.
    """

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response

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
