"""Latencies, shapes and operators as people read them."""

from __future__ import annotations

from netspec.errors import InvalidSpec
from netspec.operators import Operator, operator_from_key
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


def sizes(of: Shape | Operator) -> str:
    """Input and output: side in px and channels."""
    before = f"{of.input_size}²×{of.in_channels}"  # noqa: RUF001 - a sign
    return f"{before} → {of.output_size}²×{of.out_channels}"  # noqa: RUF001 - a sign


def manner(shape: Shape) -> str:
    """What else tells a row's MBConvs from another row's, empty for the usual."""
    could_add = shape.stride == 1 and shape.in_channels == shape.out_channels
    parts = (
        _option("stride", shape.stride),
        _option("residual", shape.residual or not could_add),
        _option("activation", shape.activation or "relu6"),
    )
    return ", ".join(filter(None, parts))


def _option(name: str, value: object) -> str:
    """A field of an operator in words, empty where it is usual."""
    words = name.replace("_", " ")
    match name, value:
        case ("stride", 1) | ("activation", "relu6"):
            return ""
        case "residual", _:
            return "" if value else "no residual"
        case "activation", _:
            return str(value).replace("_", " ")
        case _, bool():
            return words if value else f"no {words}"
    return f"{words} {value}"


def subject_title(name: str) -> str:
    """An operator's key in words; any other name as it is."""
    try:
        operator = operator_from_key(name)
    except InvalidSpec:
        return name
    options = {field: getattr(operator, field) for field in operator.keyed_fields}
    if "residual" in options and (operator.input_size, operator.in_channels) != (
        operator.output_size,
        operator.out_channels,
    ):
        del options["residual"]
    words = (_option(field, value) for field, value in options.items())
    return ", ".join([f"{operator.title} {sizes(operator)}", *filter(None, words)])
