"""A target's table as people read it: a row a shape, a column a kernel and expansion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from profiler_server.kit.sql.pages import PageRequest
from profiler_server.latency_tables.views import grid_repository as repository
from profiler_server.latency_tables.views.grid_repository import Cell, CellFilter
from profiler_server.subjects.shapes import Shape

#: kernel and expansion
Column = tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """Some rows of a target's MBConvs."""

    #: first those with several candidates, then those with one
    shapes: Sequence[Shape]
    #: how many of the shapes have several: a space's choices; a network's own blocks have one
    chosen_among: int
    columns: Sequence[Column]
    #: not every shape has every column
    cells: Mapping[tuple[Shape, Column], Cell]
    #: of the shapes that follow, None on the last page
    next_cursor: str | None


def blocks(
    session: Session, target_id: str, cell_filter: CellFilter, page_request: PageRequest
) -> Grid:
    """A page of shapes, each with all its filtered entries.

    Raises:
        Problem: `invalid-request`: the cursor is not one of this list.
    """
    page = repository.block_shapes(session, target_id, cell_filter, page_request)
    shapes = {text: Shape.parse(text) for text in page.items}
    cells = {
        (shapes[cell.shape], (cell.kernel, cell.expand)): cell
        for cell in repository.block_cells(session, target_id, cell_filter, page.items)
        # An entry may have come between the two questions.
        if cell.shape in shapes and cell.kernel is not None and cell.expand is not None
    }
    columns = sorted({column for _, column in cells})
    # Of the whole table: a filter may leave one of many.
    candidates = repository.candidates(session, target_id, page.items)
    alone = {shape for text, shape in shapes.items() if candidates.get(text) == 1}
    ordered = sorted(shapes.values(), key=alone.__contains__)
    return Grid(ordered, len(ordered) - len(alone), columns, cells, page.next_cursor)
