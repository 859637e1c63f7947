"""SQL of tables that people read: operators by shape, kernel and expansion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from netspec.operators import Precision
from netspec.wire import EnergyValue, Method
from profiler_server.energies.rows import EnergyRow
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.entries.rows import EntryRow
from profiler_server.kit.sql.pages import Page, PageRequest, read_page
from profiler_server.subjects import shapes
from profiler_server.subjects.rows import SubjectRow

#: what a table shows of its operators
Quantity = Literal["latency", "energy"]


@dataclass(frozen=True)
class CellFilter:
    """Which operators of a target a table shows; None: any."""

    precision: Precision
    kernel: int | None = None
    expand: int | None = None
    stride: int | None = None
    #: side of the input, px
    input_size: int | None = None
    method: Method | None = None
    #: only operators that have it
    quantity: Quantity = "latency"


@dataclass(frozen=True)
class Cell:
    """One operator's entry, as far as a table shows it."""

    subject_hash: str
    shape: str
    kernel: int | None
    expand: int | None
    #: with its interval: latency in ms, or energy of an inference in mJ
    value: float
    low: float
    high: float
    #: that tell it: visits, or rounds of windows
    visits: int
    method: str
    disagreement_percent: float | None
    held_back: bool
    #: by which energy is told
    meter: str = ""


def has(session: Session, target_id: str, precision: Precision) -> bool:
    """Whether any operator of the target is of this precision."""
    (blocks,), (others,) = (shapes.texts(precision, blocks=one) for one in (True, False))
    of_precision = select(EntryRow.shape).where(
        EntryRow.target_id == target_id, EntryRow.shape >= blocks[0], EntryRow.shape < others[1]
    )
    return session.scalar(of_precision.limit(1)) is not None


def has_energy(session: Session, target_id: str, precision: Precision) -> bool:
    """Whether an operator of the target's table that is of this precision has an energy."""
    (blocks,), (others,) = (shapes.texts(precision, blocks=one) for one in (True, False))
    of_precision = (
        select(EntryRow.shape)
        .join(
            EnergyRow,
            (EnergyRow.target_id == EntryRow.target_id)
            & (EnergyRow.subject_hash == EntryRow.subject_hash),
        )
        .where(
            EnergyRow.target_id == target_id,
            EnergyRow.served,
            EntryRow.shape >= blocks[0],
            EntryRow.shape < others[1],
        )
    )
    return session.scalar(of_precision.limit(1)) is not None


def count(session: Session, target_id: str, precision: Precision) -> int:
    """How many operators of the target are of this precision, those held back among them."""
    (blocks,), (others,) = (shapes.texts(precision, blocks=one) for one in (True, False))
    of_precision = select(func.count()).where(
        EntryRow.target_id == target_id, EntryRow.shape >= blocks[0], EntryRow.shape < others[1]
    )
    return session.execute(of_precision).scalar_one()


def block_shapes(
    session: Session, target_id: str, cell_filter: CellFilter, page_request: PageRequest
) -> Page[str]:
    """The shapes of MBConvs with a filtered entry, as networks run.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    shapes_ = select(func.count()).select_from(EntryRow).group_by(EntryRow.shape)
    query = shapes_.where(*_conditions(target_id, cell_filter, blocks=True))
    page = read_page(session, query, (EntryRow.shape,), page_request)
    return page.with_items([row[-1] for row in page.items])


def block_cells(
    session: Session, target_id: str, cell_filter: CellFilter, found: Sequence[str]
) -> Sequence[Cell]:
    """The filtered entries of MBConvs of these shapes, which follow each other in the table."""
    if not found:
        return []
    of_these = EntryRow.shape.between(found[0], found[-1])
    conditions = _conditions(target_id, cell_filter, blocks=True)
    rows = session.execute(select(*_columns(cell_filter)).where(*conditions, of_these))
    return [_cell(row, cell_filter) for row in rows]


def candidates(session: Session, target_id: str, found: Sequence[str]) -> dict[str, int]:
    """How many entries of the target each of the shapes has, whatever filters leave."""
    rows = session.execute(
        select(EntryRow.shape, func.count())
        .where(EntryRow.target_id == target_id, EntryRow.shape.in_(found))
        .group_by(EntryRow.shape)
    )
    return {shape: number for shape, number in rows if shape is not None}


def other_cells(
    session: Session, target_id: str, cell_filter: CellFilter, page_request: PageRequest
) -> Page[tuple[str, Cell]]:
    """The filtered entries of operators other than MBConvs with their keys, by shape.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    query = (
        select(SubjectRow.name, *_columns(cell_filter))
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .where(*_conditions(target_id, cell_filter, blocks=False))
    )
    page = read_page(session, query, (EntryRow.shape, EntryRow.subject_hash), page_request)
    return page.with_items([(row[0], _cell(row[1:], cell_filter)) for row in page.items])


def measured_wholes(
    session: Session, target_id: str, page_request: PageRequest
) -> Page[EntryOfSubject]:
    """The entries of networks and models, by name.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    query = (
        select(EntryRow, SubjectRow)
        .join(SubjectRow, SubjectRow.hash == EntryRow.subject_hash)
        .where(EntryRow.target_id == target_id, EntryRow.shape.is_(None))
    )
    page = read_page(session, query, (SubjectRow.name, SubjectRow.hash), page_request)
    return page.with_items([(row[0], row[1]) for row in page.items])


_CELL: tuple[InstrumentedAttribute[Any], ...] = (
    EntryRow.subject_hash,
    EntryRow.shape,
    EntryRow.kernel,
    EntryRow.expand,
    EntryRow.value_ms,
    EntryRow.low_ms,
    EntryRow.high_ms,
    EntryRow.visits,
    EntryRow.method,
    EntryRow.disagreement_percent,
    EntryRow.held_back,
)


def _columns(cell_filter: CellFilter) -> tuple[InstrumentedAttribute[Any], ...]:
    return _CELL if cell_filter.quantity == "latency" else (*_CELL, EntryRow.energy)


def _cell(row: Sequence[Any], cell_filter: CellFilter) -> Cell:
    cell = Cell(*row[: len(_CELL)])
    if cell_filter.quantity == "latency":
        return cell
    energy = EnergyValue.model_validate_json(row[len(_CELL)])
    return replace(
        cell,
        value=energy.value_mj,
        low=energy.low_mj,
        high=energy.high_mj,
        visits=energy.rounds,
        meter=energy.meter.name,
    )


def _conditions(
    target_id: str, cell_filter: CellFilter, *, blocks: bool
) -> list[ColumnElement[bool]]:
    ranges = shapes.texts(cell_filter.precision, blocks=blocks, input_size=cell_filter.input_size)
    stride = None if cell_filter.stride is None else str(cell_filter.stride)
    stored_stride = func.substr(EntryRow.shape, shapes.STRIDE_AT, 1)
    equal: list[tuple[ColumnElement[bool], object]] = [
        (EntryRow.kernel == cell_filter.kernel, cell_filter.kernel),
        (EntryRow.expand == cell_filter.expand, cell_filter.expand),
        (stored_stride == stride, stride),
        (EntryRow.method == cell_filter.method, cell_filter.method),
    ]
    return [
        EntryRow.target_id == target_id,
        or_(*(and_(EntryRow.shape >= first, EntryRow.shape < end) for first, end in ranges)),
        *(condition for condition, value in equal if value is not None),
        *([EntryRow.energy.is_not(None)] if cell_filter.quantity == "energy" else []),
    ]
