"""Latencies, shapes and operators as people read them."""

from __future__ import annotations

from typing import Final

from netspec.errors import InvalidSpec
from netspec.operators import Operator, operator_from_key
from profiler_server.subjects.shapes import Shape

#: what pages explain where it stands, as `docs/words.md` has it
MEANINGS: Final = {
    "anchor": "a small operator of known speed, visited between the others",
    "calibration": "how sums of entries map to whole networks on a target, fitted on measured "
    "networks, with its held-out error",
    "energy": "what an inference takes beyond what the device takes while nothing runs, mJ, by a "
    "meter: a way to count it, and the rails that are counted",
    "entry": "a table's value for an operator: an estimate over accepted visits, with its "
    "interval, the number of visits and the method (isolated, in_network, imported, fitted)",
    "lease": "an agent's attempt at a batch of tasks",
    "precision": "float32 or int8; part of the operator that is priced",
    "protocol": "the numbers by which visits are made and judged; part of the target",
    "quarantine": "no work for a device until a person releases it",
    "rest": "a while without work, after failures, for a task or a device",
    "round": "a pass over all that a lease names, in shuffled order. A job's rounds are the "
    "accepted visits that it wants of each subject",
    "snapshot": "a target's table, frozen; its id is the hash of its content",
    "subject": "an operator, network or uploaded model that a job names",
    "target": "what a latency is true for: device model, SoC, OS build, ABI, runtime and its "
    "binary's hash, delegate, threads, affinity, clock policy, protocol. Its id is the hash of "
    "these; all else that is observed (temperature, battery, serial, agent) is recorded with the "
    "visit and never keyed",
    "task": "one subject to measure on one target",
    "visit": "one launch that measured one operator or network: count, min, p5, median, p95, "
    "mean, std, conditions before and after, raw output. Visits are appended, never changed",
    "window": "ten seconds of runs without pause, one of those that a sustained task is made of",
}


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
