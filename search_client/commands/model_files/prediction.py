"""What `search-client latency --predict` prints."""

from __future__ import annotations

from typing import Any

from rich.table import Column, Table

from netspec.client import ModelPrediction
from netspec.console.command import print_json
from netspec.console.units import latency_text
from search_client.commands.options import console

#: operators that are shown; the rest is summed up
_MOST_SHOWN = 12


def show_prediction(predicted: ModelPrediction, *, as_json: bool) -> None:
    """Prints a prediction for people, or as JSON."""
    if as_json:
        print_json(_as_json(predicted))
        return
    for line in _lines(predicted):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_table(predicted))


def _as_json(predicted: ModelPrediction) -> dict[str, Any]:
    pieces = [
        {
            "key": piece.key,
            "layers": piece.layers,
            "state": piece.state,
            "value_ms": piece.value_ms,
        }
        for piece in predicted.of.pieces
    ]
    answer = predicted.prediction.model_dump(mode="json")
    # Left off the wire where it is 0, but here a part of the answer.
    share = {"predicted_share": predicted.prediction.predicted_share}
    return {**answer, **share, "pieces": pieces, "views": predicted.of.views}


def _lines(predicted: ModelPrediction) -> list[str]:
    answer, pieces, target = predicted.prediction, predicted.of.pieces, predicted.of.target
    how = "" if answer.calibrated else " as an uncalibrated sum of operators"
    lines = [f"{answer.name}: {latency_text(answer.predicted_ms)}, predicted{how}"]
    if answer.low_ms is not None and answer.high_ms is not None:
        low, high = latency_text(answer.low_ms), latency_text(answer.high_ms)
        lines.append(f"  95 % interval {low} to {high}")
    else:
        lines.append("  no interval: too few whole networks were measured on the target")
    lines.append(f"  on {target.identity.label}, target {target.id}; no device ran it")
    unmeasured = sum(piece.state == "predicted" for piece in pieces)
    layers = sum(len(piece.layers) for piece in pieces)
    lines.append(
        f"  {layers} layers as {len(pieces)} operators, {unmeasured} predicted from others: "
        f"{answer.predicted_share:.1%} of the sum"
    )
    if unmeasured:
        lines.append("  `search-client profile --model FILE` measures those")
    # Which operators these are says the table below.
    others = answer.model_copy(update={"predicted": ()})
    lines += [f"  {caveat}" for caveat in others.caveats]
    if answer.held_out is not None:
        lines.append(
            f"  its calibration is {answer.held_out.mape_percent:.1f} % off on "
            f"{answer.held_out.networks} networks that it had not seen"
        )
    if predicted.of.views:
        lines.append(f"  without a price, as they move no values: {', '.join(predicted.of.views)}")
    return lines


def _table(predicted: ModelPrediction) -> Table:
    """Operators by what they take, the most first; each with how often it is there."""
    times: dict[str, int] = {}
    for piece in predicted.of.pieces:
        times[piece.key] = times.get(piece.key, 0) + 1
    single = {piece.key: piece for piece in predicted.of.pieces}
    taken = {key: (single[key].value_ms or 0.0) * count for key, count in times.items()}
    whole = sum(taken.values()) or 1.0
    table = Table(
        Column("operator", overflow="fold"),
        Column("times", justify="right"),
        Column("by itself", justify="right"),
        Column("share", justify="right"),
        "known",
    )
    ordered = sorted(taken, key=lambda key: -taken[key])
    for key in ordered[:_MOST_SHOWN]:
        alone = latency_text(single[key].value_ms or 0.0)
        share = f"{taken[key] / whole:.1%}"
        table.add_row(key, str(times[key]), alone, share, single[key].state)
    rest = ordered[_MOST_SHOWN:]
    if rest:
        share = f"{sum(taken[key] for key in rest) / whole:.1%}"
        table.add_row("others", str(sum(times[key] for key in rest)), "", share, "")
    return table
