"""What a run came to, in sentences for the page and the terminal."""

from __future__ import annotations

import math

from netspec.console.units import energy_text
from search_client.report.content import (
    Derivation,
    EnergyOutcome,
    NetworkResult,
    Ranking,
    Report,
)
from search_client.report.proportions import difference
from search_client.report.wording import (
    accuracy_interval,
    latency,
    networks_of,
    percent,
    signed_percent,
)

#: signal to noise of a whole search below which it may as well have been drawn: at 3, chance alone
#: moves alpha a third as far
LEAST_SIGNAL = 3.0


def signal(snr: float, steps: int) -> str:
    """What the signal to noise of alpha's gradient says of a search.

    Args:
        snr: of one architecture step.
        steps: architecture steps; their sum's signal to noise is sqrt(steps) times that of one.
    """
    summed = snr * math.sqrt(steps)
    said = (
        f"The gradient of alpha had a signal to noise of {snr:.2g} a step, {summed:.2g} over "
        f"{steps} architecture steps"
    )
    if summed >= LEAST_SIGNAL:
        return f"{said}."
    return (
        f"{said}: too small to mean anything, chance moved alpha as far as the accuracy did. Give "
        "more architecture steps, search.architecture_batches or larger batches, or let scores "
        "decide (search.method = evolution)."
    )


def aim(report: Report) -> str:
    """Whether the search met its latency reference, and how the network was chosen after it."""
    expected, search = report.searched.expected_ms, report.search
    reference = report.latency_ref_ms
    if expected is None:
        return ""
    if search.energy is not None and search.energy.weight == 1:
        return f"{energy(search.energy)} Latency was not in the loss."
    if search.energy is not None:
        return f"{_of_latency(report, expected, reference)} {energy(search.energy)}"
    return _of_latency(report, expected, reference)


def energy(outcome: EnergyOutcome) -> str:
    """Whether the search met its reference of energy."""
    miss = 100 * (outcome.expected_mj / outcome.reference_mj - 1)
    return (
        f"E[energy] ended at {energy_text(outcome.expected_mj)} an inference, {_missed(miss)} the "
        f"reference of {energy_text(outcome.reference_mj)}; the network found takes "
        f"{energy_text(outcome.found_mj)} by the table."
    )


def _of_latency(report: Report, expected: float, reference: float) -> str:
    search = report.search
    miss = 100 * (expected / reference - 1)
    said = f"E[LAT] ended at {latency(expected)}"
    derivation = search.derivation
    if derivation is None:
        return f"{said}, {_missed(miss)} the reference of {latency(reference)}."
    tolerance = f"{100 * derivation.tolerance:g} %"
    if abs(miss) <= 100 * derivation.tolerance:
        said += f", within {tolerance} of the reference of {latency(reference)}."
    else:
        said += (
            f", {_missed(miss)} the reference of {latency(reference)} and outside the tolerance of "
            f"{tolerance}: the gradient alone did not meet its target."
        )
    return f"{said} {_chosen(derivation)}"


def _missed(percent_off: float) -> str:
    return f"{percent(abs(percent_off))} {'above' if percent_off > 0 else 'below'}"


def _chosen(derivation: Derivation) -> str:
    probability = f"{math.exp(derivation.log_probability):.2g}"
    if derivation.rule == "argmax":
        return (
            "The network is the likeliest choice of every block (argmax), with a probability of "
            f"{probability}; it is predicted to take {latency(derivation.predicted_ms)}."
        )
    return (
        f"The network was chosen after the search: the likeliest of those predicted within "
        f"{100 * derivation.tolerance:g} % of the reference (on_target). It has a probability of "
        f"{probability} and is predicted to take {latency(derivation.predicted_ms)}; the likeliest "
        f"network whatever its latency would take {latency(derivation.likeliest_ms)}."
    )


def unlike(report: Report) -> tuple[str, ...]:
    """Which networks the calibration has seen none like, and in what they differ from those."""
    return tuple(
        f"{result.network.name} in {model.precision} is unlike the networks that the table is "
        f"calibrated on, so that its prediction may be off by more than these show: {difference}."
        for _, result in networks_of(report)
        for model in result.models
        for difference in model.unlike
    )


def ranking(ranked: Ranking) -> str:
    """How far the supernet's scores can be trusted to choose between networks."""
    return (
        f"Kendall's tau between the supernet's scores and the accuracy of {ranked.networks} random "
        f"networks on target, each trained alone, is {ranked.tau:.2f}."
    )


def headline(report: Report) -> str:
    """What came out of the run, in two or three sentences."""
    searched, baseline = report.searched, report.baseline
    faster = 100 * (searched.measured_ms["int8"] / baseline.measured_ms["int8"] - 1)
    points = 100 * (searched.accuracy_int8 - baseline.accuracy_int8)
    return (
        f"The searched network takes {_int8_result(searched, report.identity.device_model)}; "
        f"{baseline.network.name} takes {_int8_result(baseline)}. "
        f"Against this baseline the searched network needs {_compared(faster, '%', 'time')} "
        f"and has {_compared(points, 'points', 'accuracy')}{_points_interval(report)}."
    )


def on_device(report: Report) -> str:
    """How good the int8 files are on the target's device; empty where that was not asked."""
    said = [
        f"{role} {percent(100 * found.accuracy)} of {found.images:,} test images "
        f"{accuracy_interval(found.accuracy, found.images)}, the same class as on the machine of "
        f"this run for {100 * found.agreement:.2f} % of them"
        for role, result in networks_of(report)
        if (found := result.on_device) is not None
    ]
    return f"Accuracy on the device in int8: {'; '.join(said)}." if said else ""


def _points_interval(report: Report) -> str:
    searched, baseline = report.searched, report.baseline
    if not searched.images_int8 or searched.images_int8 != baseline.images_int8:
        return ""
    low, high = difference(searched.accuracy_int8, baseline.accuracy_int8, searched.images_int8)
    return f" (95 % interval of the difference {100 * low:+.1f} to {100 * high:+.1f} points)"


def _int8_result(result: NetworkResult, device: str = "") -> str:
    measured, predicted = result.measured_ms["int8"], result.predicted_ms["int8"]
    error = signed_percent(100 * (predicted - measured) / measured)
    place = f" as int8 on {device}" if device else ""
    return (
        f"{latency(measured)}{place}, predicted {latency(predicted)} ({error}), "
        f"and is right on {percent(100 * result.accuracy_int8)} of {_images(result)}"
    )


def _images(result: NetworkResult) -> str:
    if not result.images_int8:
        return "the test images"
    interval = accuracy_interval(result.accuracy_int8, result.images_int8)
    return f"{result.images_int8:,} test images {interval}"


def _compared(difference: float, unit: str, what: str) -> str:
    rounded = round(difference, 1)
    if not rounded:
        return f"the same {what}"
    return f"{abs(rounded):.1f} {unit} {'more' if rounded > 0 else 'less'} {what}"
