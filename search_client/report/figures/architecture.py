"""Networks as the ProxylessNAS paper draws them (ICLR 2019, figure 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from netspec.networks import Network
from netspec.operators import Operator
from netspec.spaces import Space
from search_client.report.figures.canvas import (
    FIXED_COLOUR,
    INK,
    MUTED,
    Drawing,
    block_colour,
    operator_colour,
    pixel_axes,
    text_colour_on,
)

_LEGEND = 26
_TALLEST = 150
_SHORTEST = 62
_WIDEST = 40
_NARROWEST = 17
_GAP = 9
#: gap that holds the size of a feature map, written upwards
_SHAPE_GAP = 26
_MARGIN = 4


@dataclass(frozen=True)
class Scale:
    """Greatest side (px) and channels: two networks drawn on one scale can be compared."""

    size: int
    channels: int

    @classmethod
    def of(cls, *networks: Network) -> Scale:
        """The scale on which all of the networks fit."""
        operators = [operator for network in networks for operator in network.operators]
        return cls(
            max(operator.output_size for operator in operators),
            max(operator.out_channels for operator in operators),
        )


@dataclass(frozen=True)
class _Step:
    operator: Operator
    #: chosen as Zero: x passes
    skipped: bool = False


def searched_architecture(space: Space, choices: Sequence[int], scale: Scale) -> Drawing:
    """The network that the choices make; blocks that chose Zero are dashed."""
    steps = [_Step(operator) for operator in space.fixed_start]
    for block, choice in zip(space.blocks, choices, strict=True):
        skipped = choice == len(block.candidates)
        steps.append(_Step(block.candidates[0 if skipped else choice], skipped=skipped))
    steps += [_Step(operator) for operator in space.fixed_end]
    return _architecture("architecture-searched", "The searched network", steps, scale)


def network_architecture(network: Network, scale: Scale) -> Drawing:
    """A network without choices."""
    steps = [_Step(operator) for operator in network.operators]
    return _architecture("architecture-baseline", "The baseline", steps, scale)


def _architecture(name: str, subject: str, steps: Sequence[_Step], scale: Scale) -> Drawing:
    first = steps[0].operator
    shapes = [(first.input_size, first.in_channels)]
    shapes += [(step.operator.output_size, step.operator.out_channels) for step in steps]
    gaps = [
        _SHAPE_GAP if index == 0 or shapes[index] != shapes[index - 1] else _GAP
        for index in range(len(shapes))
    ]
    widths = [_width(step, scale) for step in steps]
    height = _LEGEND + _TALLEST + _MARGIN

    def paint(figure: Figure) -> None:
        axes = pixel_axes(figure)
        middle = _LEGEND + _TALLEST / 2
        _legend(axes, steps)
        x: float = _MARGIN
        for index, gap in enumerate(gaps):
            if gap == _SHAPE_GAP:
                _shape(axes, x + gap / 2, middle, shapes[index])
            else:
                axes.plot((x, x + gap), (middle, middle), color=MUTED, linewidth=1)
            x += gap
            if index < len(steps):
                _block(axes, steps[index], (x, middle), widths[index], scale)
                x += widths[index]

    labels = ", ".join("skipped" if step.skipped else step.operator.label for step in steps)
    total = sum(gaps) + sum(widths) + 2 * _MARGIN
    return Drawing(
        name,
        f"{subject}, from input to output: {labels}",
        (total, height),
        paint,
        ("operator", "key", "input_px", "in_channels", "out_channels", "stride", "skipped"),
        [
            (
                step.operator.label,
                step.operator.key,
                step.operator.input_size,
                step.operator.in_channels,
                step.operator.out_channels,
                step.operator.total_stride,
                int(step.skipped),
            )
            for step in steps
        ],
    )


def _width(step: _Step, scale: Scale) -> float:
    share = math.sqrt(step.operator.out_channels / scale.channels)
    return _NARROWEST + (_WIDEST - _NARROWEST) * share


def _block(axes: Axes, step: _Step, at: tuple[float, float], width: float, scale: Scale) -> None:
    x, middle = at
    share = math.sqrt(step.operator.output_size / scale.size)
    height = _SHORTEST + (_TALLEST - _SHORTEST) * share
    corner = (x, middle - height / 2)
    if step.skipped:
        box = Rectangle(corner, width, height, fc="none", ec=MUTED, lw=1.2, ls=(0, (3, 2)))
        text, ink = "skipped", MUTED
    else:
        colour = operator_colour(step.operator)
        box = Rectangle(corner, width, height, fc=colour)
        text, ink = step.operator.label, text_colour_on(colour)
    axes.add_patch(box)
    axes.text(
        x + width / 2, middle, text, rotation=90, ha="center", va="center", size=10.5, color=ink
    )


def _shape(axes: Axes, x: float, middle: float, shape: tuple[int, int]) -> None:
    size, channels = shape
    axes.text(
        x,
        middle,
        f"{size}x{size}x{channels}",
        rotation=90,
        ha="center",
        va="center",
        size=9.5,
        color=MUTED,
    )


def _legend(axes: Axes, steps: Sequence[_Step]) -> None:
    kernels = sorted(
        {
            step.operator.largest_kernel
            for step in steps
            if step.operator.place == "block" and not step.skipped
        }
    )
    swatches = [(f"{kernel}x{kernel} kernel", block_colour(kernel, 6)) for kernel in kernels]
    swatches.append(("stem, head, classifier", FIXED_COLOUR))
    x: float = _MARGIN
    for text, colour in swatches:
        axes.add_patch(Rectangle((x, 4), 11, 11, fc=colour))
        axes.text(x + 16, 9.5, text, va="center", size=10, color=INK)
        x += 30 + 6.2 * len(text)
