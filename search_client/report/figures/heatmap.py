"""The latency table by block and candidate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from netspec.console.units import significant
from netspec.operators import Precision
from netspec.spaces import Block
from search_client.report.content import Report
from search_client.report.figures.canvas import (
    INK,
    LINE,
    MUTED,
    Drawing,
    pixel_axes,
    text_colour_on,
)
from search_client.report.wording import shape_label

_WIDTH = 490
_LABELS = 142
_HEAD = 50
_ROW = 23
_US_PER_MS = 1000


def table_heatmap(report: Report, precision: Precision) -> Drawing:
    """Entries of one precision, a row a block and a column a candidate, Zero last.

    Columns are named anew where candidates are others than before. Chosen candidates are outlined.
    Log colour scale, since early blocks cost many times what late ones do.
    """
    values_ms = {entry.name: entry.value_ms for entry in report.table}
    blocks = report.search.space.with_precision(precision).blocks
    table = [
        [values_ms.get(operator.key, math.nan) for operator in block.candidates] for block in blocks
    ]
    known = [value for row in table for value in row if value > 0]
    norm = LogNorm(min(known), max(known)) if known else Normalize(0, 1)
    unit = "us" if known and max(known) < 1 else "ms"
    scale = _US_PER_MS if unit == "us" else 1

    columns = _columns(blocks)
    cell = (_WIDTH - _LABELS - 2) / max(map(len, columns))
    heads = [
        index for index, named in enumerate(columns) if named != columns[index - 1] or not index
    ]

    def paint(figure: Figure) -> None:
        axes = pixel_axes(figure)
        axes.text(0, 14, f"{precision}, {unit}", size=12, weight="bold")
        y = -_ROW
        for index, (block, row) in enumerate(zip(blocks, table, strict=True)):
            y += _ROW
            if index in heads:
                y += _HEAD
                _head(axes, columns[index], y - 6, cell)
            _row_label(axes, index, block, y)
            colours = ["none" if math.isnan(value) else _colour(norm, value) for value in row]
            texts = ["n/a" if math.isnan(value) else significant(scale * value) for value in row]
            if block.skippable:
                colours.append(LINE)
                texts.append("0")
            for column, (colour, text) in enumerate(zip(colours, texts, strict=True)):
                _cell(axes, (_LABELS + column * cell, y), cell, colour, text)
            corner = (_LABELS + report.search.choices[index] * cell, y)
            axes.add_patch(Rectangle(corner, cell, _ROW, fc="none", ec=INK, lw=2.4, zorder=3))

    label = (
        f"Latency of each candidate of each block in {precision}, {unit}; "
        "the same numbers stand in the table of entries below"
    )
    height = len(heads) * _HEAD + len(blocks) * _ROW + 4
    chosen = report.search.choices
    return Drawing(
        f"table-{precision}",
        label,
        (_WIDTH, height),
        paint,
        ("block", "candidate", "key", "ms", "chosen"),
        [
            (index + 1, operator.label, operator.key, value, int(place == chosen[index]))
            for index, (block, row) in enumerate(zip(blocks, table, strict=True))
            for place, (operator, value) in enumerate(zip(block.candidates, row, strict=True))
        ],
    )


def _columns(blocks: Sequence[Block]) -> list[tuple[str, ...]]:
    """Names of each block's candidates, those of Zero where any block that has the same has it."""
    named = [tuple(operator.label for operator in block.candidates) for block in blocks]
    with_zero = {names for names, block in zip(named, blocks, strict=True) if block.skippable}
    return [(*names, "Zero") if names in with_zero else names for names in named]


def _head(axes: Axes, names: Sequence[str], y: float, cell: float) -> None:
    for column, name in enumerate(names):
        x = _LABELS + (column + 0.5) * cell
        axes.text(x, y, name.replace(" ", "\n"), size=10, ha="center", va="bottom")


def _colour(norm: Normalize, value: float) -> str:
    # the ends of viridis are too dark and too bright beside each other
    return to_hex(mpl.colormaps["viridis_r"](0.06 + 0.84 * float(norm(value))))


def _row_label(axes: Axes, index: int, block: Block, y: float) -> None:
    middle = y + _ROW / 2
    axes.text(18, middle, str(index + 1), ha="right", va="center", size=10)
    axes.text(26, middle, shape_label(block.candidates[0]), va="center", size=9.5, color=MUTED)


def _cell(axes: Axes, at: tuple[float, float], width: float, colour: str, text: str) -> None:
    axes.add_patch(Rectangle((at[0] + 0.75, at[1] + 0.75), width - 1.5, _ROW - 1.5, fc=colour))
    # both take the page's colours
    ink = INK if colour in ("none", LINE) else text_colour_on(colour)
    axes.text(
        at[0] + width / 2, at[1] + _ROW / 2, text, ha="center", va="center", size=10, color=ink
    )
