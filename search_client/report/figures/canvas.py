"""How every figure is drawn: colours, fonts, and matplotlib figures as SVG, PNG and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from netspec.operators import Operator, Precision

# The page gives these three in light and dark.
INK = "#1b2027"
MUTED = "#5b6673"
LINE = "#d5dae0"
_THEMED = {
    INK: "currentColor",
    MUTED: f"var(--muted, {MUTED})",
    LINE: f"var(--line, {LINE})",
}

# All others are mid-tones that stand out on white and on near black. One colour means one thing in
# all of a report: a precision, a kernel, a part that no choice changes, or Zero.
PRECISION_COLOURS: dict[Precision, str] = {"float32": "#8a8430", "int8": "#c2467d"}
FIXED_COLOUR = "#8b97a4"
ZERO_COLOUR = "#bcc4cc"
_KERNEL_COLOURS = {
    1: "#4f9d92",
    3: "#2f6fb0",
    5: "#d57a1f",
    7: "#8a4bae",
    9: "#3c8d4f",
    11: "#b8434b",
}
_FULL_COLOUR_EXPAND = 6

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "patch.linewidth": 0,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}
_FONT = re.compile(r"'DejaVu Sans'(, *[\w'-]+( [\w']+)*)*")
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#)')
_SVG_TAG = re.compile(r"<svg[^>]*>")
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_LONG_DECIMALS = re.compile(r"(?<=\d)(\.\d\d)\d+")


def operator_colour(operator: Operator) -> str:
    """Colour (hex) of an operator: that of its kernel and expansion where it is a block."""
    if operator.place != "block":
        return FIXED_COLOUR
    return block_colour(operator.largest_kernel, operator.expansion)


def block_colour(kernel: int, expand: float) -> str:
    """Colour (hex) of a block: hue by kernel, lighter below expansion 6 and darker above."""
    towards_white = 0.75 * (_FULL_COLOUR_EXPAND - expand) / _FULL_COLOUR_EXPAND
    end = 1.0 if towards_white >= 0 else 0.0
    share = min(abs(towards_white), 0.7)
    mixed = [
        (1 - share) * part + share * end
        for part in to_rgb(_KERNEL_COLOURS.get(kernel, FIXED_COLOUR))
    ]
    return "#" + "".join(f"{round(255 * part):02x}" for part in mixed)


def text_colour_on(fill: str) -> str:
    """Black or white (hex), whichever contrasts more with a fill.

    Source: relative luminance of WCAG 2.2; 0.179 is where both contrast alike.
    """
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004
        for part in to_rgb(fill)
    )
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179  # noqa: PLR2004
    return "#000000" if light else "#ffffff"


@dataclass(frozen=True)
class Drawing:
    """A figure with the numbers that it shows.

    In a template it is inline SVG that takes its ink from the page.
    """

    #: unique on the page; prefix of the ids, and name of the files
    name: str
    #: what the figure shows, for who does not see it
    label: str
    #: width and height in px
    size: tuple[float, float]
    #: draws on an empty figure
    paint: Callable[[Figure], None]
    #: names of the data's columns, latencies in ms
    columns: tuple[str, ...] = ()
    rows: Sequence[tuple[str | float | int, ...]] = ()
    #: by the id of a part of the figure, what pointing at it shows on the page
    titles: Mapping[str, str] = field(default_factory=dict)

    def __html__(self) -> str:
        """Return the SVG element with the page's colours and font."""
        body = self._drawn[self._drawn.index("<svg") :]
        body = _ID.sub(rf"\g<1>{self.name}-", body)
        for part, text in self.titles.items():
            group = f'<g id="{self.name}-{part}">'
            body = body.replace(group, f"{group}<title>{escape(text)}</title>", 1)
        body = _FONT.sub("system-ui, sans-serif", body)
        for colour, themed in _THEMED.items():
            body = body.replace(colour, themed)
        width, height = self.size
        tag = (
            f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(self.label)}" '
            f'style="--width:{width:g}px">'
        )
        # matplotlib escaped the texts, the label is escaped here.
        return _SVG_TAG.sub(lambda _: tag, body, count=1)

    def __str__(self) -> str:
        """Return the same."""
        return self.__html__()

    @property
    def svg(self) -> str:
        """The figure as an SVG file, in the colours of the light page."""
        return self._drawn

    def png(self) -> bytes:
        """Return the figure as a PNG file on white, two pixels for a px."""
        buffer = io.BytesIO()
        with mpl.rc_context(_STYLE):
            self._figure().savefig(buffer, format="png", dpi=144, facecolor="white")
        return buffer.getvalue()

    def csv(self) -> str:
        """Return the numbers of the figure as CSV."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return buffer.getvalue()

    @cached_property
    def _drawn(self) -> str:
        buffer = io.BytesIO()
        # rc_context: style holds while drawing and leaves no trace in the process.
        with mpl.rc_context({**_STYLE, "svg.hashsalt": self.name}):
            unset = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            self._figure().savefig(buffer, format="svg", metadata=unset)
        drawn = _COMMENT.sub("", _METADATA.sub("", buffer.getvalue().decode("utf-8")))
        # coordinates to a hundredth of a px; texts between the tags keep their digits
        return _TAG.sub(lambda match: _LONG_DECIMALS.sub(r"\1", match[0]), drawn)

    def _figure(self) -> Figure:
        width, height = self.size
        # 72 dots an inch, so that one SVG unit and one font point are one px
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        self.paint(figure)
        return figure


def pixel_axes(figure: Figure) -> Axes:
    """Axes over the whole figure whose unit is the px, y downwards, nothing drawn."""
    width, height = (72 * inches for inches in figure.get_size_inches())
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return axes
