"""How the search went."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netspec.spaces import Block
from search_client.report.content import SearchPoint, SearchRecord
from search_client.report.figures.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    SECOND_ACCENT,
    ZERO_COLOUR,
    draw,
    operator_colour,
)
from search_client.report.wording import latency

#: what is left of a colour's distance from white in the next shade
_SHADE = 0.8
_SIZE = (500, 330)
_BLOCK_SIZE = (240, 140)
#: more points than px show nothing and make the page heavy
_MOST_CURVE_POINTS = 500
_MOST_AREA_POINTS = 60


def learning_curves(search: SearchRecord) -> Markup:
    """Cross-entropy and top-1 on the training batches over the weight steps."""
    points = _thinned(search.points, _MOST_CURVE_POINTS)
    steps = [point.step for point in points]

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(steps, [point.loss for point in points], color=ACCENT)
        upper.set_ylabel("cross-entropy")
        lower.plot(steps, [100 * point.accuracy for point in points], color=SECOND_ACCENT)
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
        f"Cross-entropy falls from {first.loss:.2f} to {last.loss:.2f}, top-1 on the training "
        f"batches goes from {100 * first.accuracy:.1f} % to {100 * last.accuracy:.1f} %"
    )
    return draw("learning", label, _SIZE, paint)


def expected_latency_curve(search: SearchRecord, latency_ref_ms: float) -> Markup:
    """E[LAT] over the weight steps against the latency reference."""
    points = _thinned(search.points, _MOST_CURVE_POINTS)
    values_ms = [point.expected_ms for point in points]

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        axes.plot([point.step for point in points], values_ms, color=ACCENT, label="E[LAT]")
        axes.axhline(
            latency_ref_ms,
            color=SECOND_ACCENT,
            linestyle=(0, (5, 3)),
            label=f"reference, {latency(latency_ref_ms)}",
        )
        low, high = min(*values_ms, latency_ref_ms), max(*values_ms, latency_ref_ms)
        room = 0.12 * (high - low) or 0.1 * high
        axes.set_ylim(low - room, high + 2 * room)
        _shade_warm_up(axes, search)
        _name_warm_up(axes, search, y=0.93)
        axes.grid(axis="y")
        axes.set_xlabel("weight steps")
        axes.set_ylabel(f"E[LAT], ms ({search.precision})")
        axes.legend(loc="upper right", ncols=2)

    label = (
        f"E[LAT] in {search.precision} goes from {latency(values_ms[0])} to "
        f"{latency(values_ms[-1])}; the reference is {latency(latency_ref_ms)}"
    )
    return draw("expected-latency", label, _SIZE, paint)


def block_probabilities(search: SearchRecord) -> tuple[Markup, ...]:
    """softmax(alpha) over the weight steps, one stacked area a block; none without points."""
    known = [point for point in search.points if point.probabilities]
    points = _thinned(known, _MOST_AREA_POINTS)
    if not points:
        return ()
    return tuple(
        _probabilities(search, points, index, block)
        for index, block in enumerate(search.space.blocks)
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


def _probabilities(
    search: SearchRecord, points: Sequence[SearchPoint], index: int, block: Block
) -> Markup:
    choice = search.choices[index]
    chosen = choice_names(block)[choice]
    final = points[-1].probabilities[index][choice]
    steps = [point.step for point in points]
    by_choice = list(zip(*(point.probabilities[index] for point in points), strict=True))

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.12, 0.16, 0.84, 0.66))
        axes.stackplot(steps, *by_choice, colors=choice_colours(block))
        axes.set_title(f"{index + 1}: {chosen}, p = {final:.2f}", size=11)
        axes.set_xlim(steps[0], max(steps[-1], steps[0] + 1))
        axes.set_ylim(0, 1)
        axes.set_yticks((0, 0.5, 1), ("0", "½", "1"))
        axes.set_xticks((steps[0], steps[-1]))
        axes.tick_params(labelsize=9)
        left, right = axes.get_xticklabels()
        left.set_horizontalalignment("left")
        right.set_horizontalalignment("right")
        end = _warm_up_end(search)
        if end is not None:
            axes.axvline(end, color=INK, linewidth=1, linestyle=(0, (2, 2)))

    label = f"Block {index + 1} ends on {chosen} with probability {final:.2f}"
    return draw(f"block-{index + 1}", label, _BLOCK_SIZE, paint)


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
