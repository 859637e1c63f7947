"""Latencies, shapes and operators as people read them."""

from __future__ import annotations

from netspec.errors import InvalidSpec
from netspec.operators import operator_from_key
from profiler_server.subjects.shapes import Shape


def percent(value: float | None) -> str:
    """To a tenth of a percent."""
    return "–" if value is None else f"{value:.1f} %"  # noqa: RUF001 - a dash


def signed_percent(value: float) -> str:
    """To a tenth of a percent, with its sign."""
    # Without the second zero, what rounds to nothing would be -0.0.
    return f"{round(value, 1) + 0.0:+.1f} %".replace("-", "−")  # noqa: RUF001 - a minus


def precision(known: str | None, kind: str) -> str:
    """Of a subject of a kind; an uploaded model's is in its file alone."""
    return known or ("as in the file" if kind == "model" else "mixed")


def sizes(shape: Shape) -> str:
    """Input and output: side in px and channels."""
    before = f"{shape.input_size}²×{shape.in_channels}"  # noqa: RUF001 - a sign
    return f"{before} → {shape.output_size}²×{shape.out_channels}"  # noqa: RUF001 - a sign


def manner(shape: Shape) -> str:
    """What else tells a row's operators from another row's, empty for the usual."""
    could_add = shape.stride == 1 and shape.in_channels == shape.out_channels
    parts = [
        f"stride {shape.stride}" if shape.stride > 1 else "",
        "no residual" if shape.kind == "mbconv" and could_add and not shape.residual else "",
        shape.activation if shape.activation not in (None, "relu6") else "",
    ]
    return ", ".join(part for part in parts if part)


def subject_title(name: str) -> str:
    """An operator's key in words; any other name as it is."""
    try:
        operator = operator_from_key(name)
    except InvalidSpec:
        return name
    shape = Shape.of(operator)
    columns = (
        f"{word} {getattr(operator, word)}"
        for word in ("kernel", "expand")
        if hasattr(operator, word)
    )
    kind = "MBConv" if shape.kind == "mbconv" else shape.kind.capitalize()
    return ", ".join(part for part in (f"{kind} {sizes(shape)}", *columns, manner(shape)) if part)
