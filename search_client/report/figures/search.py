"""How the search went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netspec.console.latency_unit import LatencyUnit
from netspec.spaces import Block
from search_client.report.content import SearchPoint, SearchRecord
from search_client.report.figures.canvas import (
    INK,
    LINE,
    MUTED,
    PRECISION_COLOURS,
    ZERO_COLOUR,
    Drawing,
    operator_colour,
)
from search_client.report.wording import latency

#: what is left of a colour's distance from white in the next shade
_SHADE = 0.8
_SIZE = (500, 330)
_BLOCK_SIZE = (240, 140)
#: more points than px show nothing and make the page heavy
_MOST_CURVE_POINTS = 500
_MOST_COLUMNS = 120
#: of blocks beside each other in the file of all
_COLUMNS = 4


def learning_curves(search: SearchRecord) -> Drawing:
    """Cross-entropy and top-1 on the training batches over the weight steps."""
    points = _thinned(search.points, _MOST_CURVE_POINTS)
    steps = [point.step for point in points]

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(steps, [point.loss for point in points], color=INK)
        upper.set_ylabel("cross-entropy")
        lower.plot(steps, [100 * point.accuracy for point in points], color=INK)
        lower.set_ylabel("top-1, %")
        lower.set_xlabel("weight steps")
        for axes in (upper, lower):
            _shade_warm_up(axes, search)
            axes.grid(axis="y")
            axes.yaxis.set_major_locator(MaxNLocator(5))
        upper.set_ylim(bottom=0)
        # at the bottom: the loss starts high
        _name_warm_up(upper, search, y=0.04)

    first, last = points[0], points[-1]
    label = (
        f"Cross-entropy goes from {first.loss:.2f} to {last.loss:.2f}, top-1 on the training "
        f"batches from {100 * first.accuracy:.1f} % to {100 * last.accuracy:.1f} %"
    )
    return Drawing(
        "learning",
        label,
        _SIZE,
        paint,
        ("step", "phase", "cross_entropy", "top1"),
        [(point.step, point.phase, point.loss, point.accuracy) for point in search.points],
    )


def expected_latency_curve(search: SearchRecord, latency_ref_ms: float) -> Drawing:
    """E[LAT] over the weight steps against the latency reference and its tolerance."""
    points = _thinned(search.points, _MOST_CURVE_POINTS)
    values_ms = [point.expected_ms for point in points]
    unit = LatencyUnit.of([*values_ms, latency_ref_ms])
    reference = unit.scale * latency_ref_ms
    values = [unit.scale * value for value in values_ms]

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        axes.plot(
            [point.step for point in points],
            values,
            color=PRECISION_COLOURS[search.precision],
            label=f"E[LAT], {search.precision}",
        )
        axes.axhline(
            reference,
            color=INK,
            linewidth=1.2,
            linestyle=(0, (5, 3)),
            label=f"reference, {latency(latency_ref_ms)}",
        )
        low, high = min(*values, reference), max(*values, reference)
        room = 0.12 * (high - low) or 0.1 * high
        axes.set_ylim(low - room, high + 2 * room)
        _shade_warm_up(axes, search)
        _name_warm_up(axes, search, y=0.93)
        axes.grid(axis="y")
        axes.set_xlabel("weight steps")
        axes.set_ylabel(f"E[LAT], {unit.name}")
        axes.legend(loc="upper right", ncols=2)

    label = (
        f"E[LAT] in {search.precision} goes from {latency(values_ms[0])} to "
        f"{latency(values_ms[-1])}; the reference is {latency(latency_ref_ms)}"
    )
    return Drawing(
        "expected-latency",
        label,
        _SIZE,
        paint,
        ("step", "phase", "expected_ms", "reference_ms"),
        [(point.step, point.phase, point.expected_ms, latency_ref_ms) for point in search.points],
    )


def block_probabilities(search: SearchRecord) -> tuple[Drawing, ...]:
    """softmax(alpha) over the weight steps, one figure a block; none where it is not known.

    A column is what was recorded at its right edge. Nothing is drawn where another width was the
    likeliest, since the probabilities are of other blocks there.
    """
    if not any(point.probabilities for point in search.points):
        return ()
    return tuple(
        Drawing(
            f"block-{index + 1}",
            _told(search, index),
            _BLOCK_SIZE,
            partial(_one_block, search=search, index=index),
        )
        for index in range(len(search.space.blocks))
    )


def every_probability(search: SearchRecord) -> Drawing:
    """The blocks' figures as one, for a file."""
    blocks = search.space.blocks
    rows = math.ceil(len(blocks) / _COLUMNS)

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        every = figure.subplots(rows, _COLUMNS, squeeze=False)
        for index, axes in enumerate(every.flat):
            if index < len(blocks):
                _paint_block(axes, search, index)
            else:
                axes.set_axis_off()

    width, height = _BLOCK_SIZE
    return Drawing(
        "probabilities",
        "Probabilities of every block",
        (width * _COLUMNS, height * rows),
        paint,
        ("step", "phase", "block", "choice", "probability"),
        [
            (point.step, point.phase, index + 1, name, probability)
            for point in search.points
            for index, row in enumerate(point.probabilities)
            for name, probability in zip(choice_names(blocks[index]), row, strict=True)
        ],
    )


def choice_names(block: Block) -> tuple[str, ...]:
    """What a block can choose, in the order of its probabilities."""
    names = tuple(operator.label for operator in block.candidates)
    return (*names, "Zero") if block.skippable else names


def choice_colours(block: Block) -> tuple[str, ...]:
    """Colours (hex) of `choice_names`, lighter where a candidate before has the same."""
    plain = [operator_colour(operator) for operator in block.candidates]
    colours = [_lighter(colour, plain[:at].count(colour)) for at, colour in enumerate(plain)]
    return (*colours, ZERO_COLOUR) if block.skippable else tuple(colours)


def _lighter(colour: str, steps: int) -> str:
    share = 1 - _SHADE**steps
    red, green, blue = ((1 - share) * part + share for part in to_rgb(colour))
    return to_hex((red, green, blue))


def _told(search: SearchRecord, index: int) -> str:
    name, final = _chosen(search, index)
    return f"Block {index + 1} ends on {name} with probability {final:.2f}"


def _chosen(search: SearchRecord, index: int) -> tuple[str, float]:
    """What a block chose, and its probability when it was last known."""
    choice = search.choices[index]
    known = [point.probabilities for point in search.points if point.probabilities]
    return choice_names(search.space.blocks[index])[choice], known[-1][index][choice]


def _one_block(figure: Figure, search: SearchRecord, index: int) -> None:
    _paint_block(figure.add_axes((0.15, 0.16, 0.81, 0.66)), search, index)


def _paint_block(axes: Axes, search: SearchRecord, index: int) -> None:
    block = search.space.blocks[index]
    points = _thinned(search.points, _MOST_COLUMNS)
    name, final = _chosen(search, index)
    edges = [0, *(point.step for point in points)]
    shares = np.array(
        [
            point.probabilities[index] if point.probabilities else [np.nan] * block.choices
            for point in points
        ]
    )
    tops = 100 * np.cumsum(shares, axis=1)
    colours = choice_colours(block)
    # from the last to the first: each one covers the lower part of the one behind it
    for choice in reversed(range(block.choices)):
        axes.stairs(tops[:, choice], edges, fill=True, color=colours[choice], linewidth=0)
    axes.set_title(f"{index + 1}: {name}, p = {final:.2f}", size=11)
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(0, 100)
    axes.set_yticks((0, 50, 100), ("0", "50", "100 %"))
    axes.set_xticks((0, edges[-1]))
    axes.tick_params(labelsize=9)
    left, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")
    end = _warm_up_end(search)
    if end is not None:
        axes.axvline(end, color=INK, linewidth=1, linestyle=(0, (2, 2)))


def _warm_up_end(search: SearchRecord) -> int | None:
    steps = [point.step for point in search.points if point.phase == "warm-up"]
    return max(steps) if steps else None


def _shade_warm_up(axes: Axes, search: SearchRecord) -> None:
    first, last = search.points[0].step, search.points[-1].step
    axes.set_xlim(first, max(last, first + 1))
    end = _warm_up_end(search)
    if end is not None:
        axes.axvspan(first, end, color=LINE, alpha=0.55, zorder=0)


def _name_warm_up(axes: Axes, search: SearchRecord, y: float) -> None:
    if _warm_up_end(search) is not None:
        axes.text(0.012, y, "warm-up", transform=axes.transAxes, size=10, color=MUTED)


def _thinned(points: Sequence[SearchPoint], most: int) -> list[SearchPoint]:
    if len(points) <= most:
        return list(points)
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]
