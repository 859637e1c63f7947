"""Operators of any kind as a heatmap, whose columns are the values of one of their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from netspec.operators import OPERATOR_CLASSES, PRECISIONS, Precision, operator_from_key
from netspec.protocol import TargetIdentity
from profiler_server.dashboard.views.heat import HeatScale
from profiler_server.devices.service import require_target
from profiler_server.entries.rows import EntryRow
from profiler_server.kit.sql.pages import Page, PageRequest, read_page
from profiler_server.subjects import shapes
from profiler_server.subjects.rows import SubjectRow

#: operators of a page
MOST = 300
#: keys whose fields a process keeps: to read one takes as long as to show ten
_KEPT_KEYS = 10_000
_INPUT, _OUTPUT = "input", "output"

#: a value of each field, by its name
_Values = Mapping[str, object]


@dataclass(frozen=True)
class FieldCell:
    """One operator's entry."""

    subject_hash: str
    value_ms: float
    held_back: bool


@dataclass(frozen=True)
class FieldsView:
    """The page."""

    target_id: str
    identity: TargetIdentity
    #: kinds that the table has, with their titles
    kinds: Mapping[str, str]
    #: None: the table is empty
    kind: str | None
    precision: Precision
    #: fields that differ among the operators, first those of the rows
    fields: Sequence[str]
    #: whose values are the columns
    column: str | None
    columns: Sequence[object]
    row_fields: Sequence[str]
    rows: Sequence[tuple[tuple[object, ...], Sequence[FieldCell | None]]]
    #: what all of them have in common
    common: Sequence[tuple[str, object]]
    scale: HeatScale | None
    #: of the next page; None: there is none
    next_cursor: str | None

    def heat(self, cell: FieldCell) -> str:
        """The class that colours a cell."""
        return f"heat-{0 if self.scale is None else self.scale.level(cell.value_ms)}"


def read(
    session: Session,
    target_id: str,
    precision: Precision,
    kind: str | None,
    first: str | None,
    column: str | None,
    cursor: str | None = None,
) -> FieldsView:
    """The page.

    Args:
        session: reads.
        target_id: whose table.
        precision: of the operators.
        kind: of the operators; None: the first that there is.
        first: field that rows are sorted by.
        column: field whose values are the columns; None: the first that differs, and is no size.
        cursor: of a page of operators.

    Raises:
        Problem: `unknown-target`, or `bad-request`: the cursor is not one of this list.
    """
    row = require_target(session, target_id)
    identity = TargetIdentity.model_validate_json(row.identity)
    kinds = _kinds(session, target_id)
    chosen = kind if kind in kinds else next(iter(kinds), None)
    page = PageRequest(MOST, cursor)
    found = None if chosen is None else _operators(session, target_id, chosen, precision, page)
    shown = () if found is None else found.items
    values = [(_values(name), cell) for name, cell in shown]
    names = list(values[0][0]) if values else []
    distinct = {name: {one[name] for one, _ in values} for name in names}
    differing = [name for name in names if len(distinct[name]) > 1]
    by = column if column in differing else _usual_column(differing)
    rest = [name for name in differing if name != by]
    row_fields = sorted(rest, key=lambda name: name != first)
    columns = sorted(distinct[by], key=_order) if by else [""]
    return FieldsView(
        target_id=target_id,
        identity=identity,
        kinds=kinds,
        kind=chosen,
        precision=precision,
        fields=differing,
        column=by,
        columns=columns,
        row_fields=row_fields,
        rows=_rows(values, row_fields, by, columns),
        common=[(name, values[0][0][name]) for name in names if name not in differing],
        scale=HeatScale.of(cell.value_ms for _, cell in shown if not cell.held_back),
        next_cursor=None if found is None else found.next_cursor,
    )


def _kinds(session: Session, target_id: str) -> dict[str, str]:
    """The kinds that a target has operators of, with their titles."""
    there = [
        or_(*(_of_kind(target_id, kind, precision).exists() for precision in PRECISIONS))
        for kind in OPERATOR_CLASSES
    ]
    has = session.execute(select(*there)).one()
    return {
        kind: cls.title
        for (kind, cls), is_there in zip(OPERATOR_CLASSES.items(), has, strict=True)
        if is_there
    }


def _of_kind(target_id: str, kind: str, precision: Precision) -> Select[str, str, float, bool]:
    """Entries of a kind's operators; an index has them as networks run."""
    first, end = shapes.texts_of_kind(kind, precision)
    return (
        select(SubjectRow.name, EntryRow.subject_hash, EntryRow.value_ms, EntryRow.held_back)
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .where(
            EntryRow.target_id == target_id,
            EntryRow.shape >= first,
            EntryRow.shape < end,
            # Kinds without a place of their own share one.
            SubjectRow.name >= f"{kind}-",
            SubjectRow.name < f"{kind}.",
        )
    )


def _operators(
    session: Session, target_id: str, kind: str, precision: Precision, page: PageRequest
) -> Page[tuple[str, FieldCell]]:
    """A page of operators by their keys, as networks run."""
    query = _of_kind(target_id, kind, precision)
    found = read_page(session, query, (EntryRow.shape, EntryRow.subject_hash), page)
    return found.with_items([(row[0], FieldCell(*row[1:4])) for row in found.items])


@lru_cache(maxsize=_KEPT_KEYS)
def _values(key: str) -> _Values:
    operator = operator_from_key(key)
    sizes = {
        _INPUT: (operator.input_size, operator.in_channels),
        _OUTPUT: (operator.output_size, operator.out_channels),
    }
    return {**sizes, **{name: getattr(operator, name) for name in operator.keyed_fields}}


def _usual_column(differing: Sequence[str]) -> str | None:
    own = [name for name in differing if name not in (_INPUT, _OUTPUT)]
    return next(iter(own or reversed(differing)), None)


def _order(value: object) -> tuple[int, float, str]:
    """Sizes from large to small as networks run, numbers by size, other values as text."""
    if isinstance(value, tuple):
        return 0, -float(value[0]), f"{value[1]:08d}"
    is_number = isinstance(value, int | float)
    return (0, float(value), "") if is_number else (1, 0.0, str(value))  # type: ignore[arg-type]


def _rows(
    values: Sequence[tuple[_Values, FieldCell]],
    row_fields: Sequence[str],
    column: str | None,
    columns: Sequence[object],
) -> list[tuple[tuple[object, ...], list[FieldCell | None]]]:
    cells: dict[tuple[object, ...], dict[object, FieldCell]] = {}
    for one, cell in values:
        row = tuple(one[name] for name in row_fields)
        cells.setdefault(row, {})[one[column] if column else ""] = cell
    order = sorted(cells, key=lambda row: [_order(value) for value in row])
    return [(row, [cells[row].get(value) for value in columns]) for row in order]


def text_of(value: object) -> str:
    """A field's value as people read it."""
    if isinstance(value, tuple):
        return f"{value[0]}²×{value[1]}"  # noqa: RUF001 - a sign
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value).replace("_", " ")
