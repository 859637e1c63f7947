"""What the page of a target's table shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.console.latency_unit import EnergyUnit, LatencyUnit
from netspec.console.units import energy_text, latency_text
from netspec.operators import PRECISIONS, Precision
from netspec.protocol import TargetIdentity
from netspec.wire import TargetRepeatability
from profiler_server.dashboard.views import left_out
from profiler_server.dashboard.views.heat import HeatScale
from profiler_server.dashboard.views.left_out import LeftOut
from profiler_server.dashboard.views.table_filter import QUANTITIES, TableFilter
from profiler_server.devices import predecessors
from profiler_server.devices.service import require_target
from profiler_server.drift import verdicts
from profiler_server.drift.verdicts import Alarm
from profiler_server.entries.derived_repository import FITTED
from profiler_server.kit.sql.pages import Page, PageRequest
from profiler_server.latency_tables import repository
from profiler_server.latency_tables.views import grid, grid_repository
from profiler_server.latency_tables.views.grid import Grid
from profiler_server.latency_tables.views.grid_repository import Cell, CellFilter, Quantity
from profiler_server.repeatability import service as repeatability

#: rows of a page; the most columns that there can be make each of them 96 cells wide
_SHAPES_A_PAGE = 20
_OTHERS_A_PAGE = 20
#: devices that differ by more are pointed out
DISAGREEMENT_PERCENT = 5.0


@dataclass(frozen=True)
class TableView:
    """The page."""

    target_id: str
    identity: TargetIdentity
    #: those that operators of the table have
    precisions: Sequence[Precision]
    #: of which the page shows one: energy, where some operator of the precision has it
    quantities: Sequence[Quantity]
    cell_filter: CellFilter
    grid: Grid
    #: None where no cell is above 0 ms
    scale: HeatScale | None
    #: operators other than MBConvs, with their keys
    others: Page[tuple[str, Cell]]
    alarm: Alarm | None
    repeatability: TargetRepeatability
    #: where the table is empty: ids of what the target was before an update, newest first
    predecessors: Sequence[str]
    left_out: LeftOut
    #: of the latest snapshot; None: nothing is published
    snapshot_id: str | None

    @property
    def is_energy(self) -> bool:
        """Whether it shows energies, and not latencies."""
        return self.cell_filter.quantity == "energy"

    def unit(self, cells: Iterable[Cell]) -> LatencyUnit:
        """Of all values of a table."""
        kind = EnergyUnit if self.is_energy else LatencyUnit
        return kind.of((cell.value for cell in cells), digits=3)

    def text(self, value: float) -> str:
        """A value with its unit."""
        return energy_text(value) if self.is_energy else latency_text(value)

    @property
    def meter(self) -> str:
        """By which the energies of the page were counted: a table is told by one."""
        cells = (*self.grid.cells.values(), *(cell for _, cell in self.others.items))
        return next((cell.meter for cell in cells), "")

    def heat(self, cell: Cell) -> str:
        """The class that colours a cell."""
        return f"heat-{0 if self.scale is None else self.scale.level(cell.value)}"


def read(session: Session, target_id: str, form: TableFilter) -> TableView:
    """A page of a target's table.

    Raises:
        Problem: `unknown-target`, or `invalid-request`: a cursor is not one of this list.
    """
    row = require_target(session, target_id)
    present = tuple(
        precision for precision in PRECISIONS if grid_repository.has(session, target_id, precision)
    )
    cell_filter = form.cell_filter(present)
    blocks = grid.blocks(session, target_id, cell_filter, PageRequest(_SHAPES_A_PAGE, form.cursor))
    others = grid_repository.other_cells(
        session, target_id, cell_filter, PageRequest(_OTHERS_A_PAGE, form.others)
    )
    is_energy = cell_filter.quantity == "energy"
    has_energy = is_energy or grid_repository.has_energy(session, target_id, cell_filter.precision)
    return TableView(
        target_id=target_id,
        identity=TargetIdentity.model_validate_json(row.identity),
        precisions=present,
        quantities=QUANTITIES if has_energy else QUANTITIES[:1],
        cell_filter=cell_filter,
        grid=blocks,
        scale=HeatScale.of(
            cell.value for cell in blocks.cells.values() if is_energy or not cell.held_back
        ),
        others=others,
        alarm=verdicts.alarm(session, target_id),
        left_out=left_out.count(session, target_id),
        snapshot_id=repository.latest_id(session, target_id),
        repeatability=repeatability.of_target(session, target_id),
        predecessors=() if present else predecessors.predecessors(session, target_id),
    )


def marks(cell: Cell) -> str:
    """Signs beside a latency, which the page explains."""
    if cell.meter:
        return ""
    if cell.held_back:
        return "⊘"
    differs = (cell.disagreement_percent or 0) > DISAGREEMENT_PERCENT
    return ("≈" if cell.method == FITTED else "") + ("≠" if differs else "")
