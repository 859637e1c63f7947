"""How sums of entries map to whole networks: one scale factor a precision.

Isolated operators run warmer than the same operators inside a network, so sums are
a few per cent low, by nearly the same factor for every network of a target.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.operators import Precision
from netspec.wire import Calibration, CalibrationNetwork, HeldOutError

_LEAST_FOR_HELD_OUT = 2


def fit(precision: Precision, networks: Sequence[CalibrationNetwork]) -> Calibration:
    """The scale with the least relative squared error, and its error on held-out networks.

    Raises:
        ValueError: there are no networks, or a latency is not above 0.
    """
    if not networks:
        raise ValueError("a calibration needs at least one network")
    return Calibration(
        precision=precision,
        scale=_scale(networks),
        intercept_ms=0.0,
        networks=tuple(networks),
        held_out=_held_out(networks),
    )


def _scale(networks: Sequence[CalibrationNetwork]) -> float:
    # The least of sum((s * r - 1)^2) with r = sum / measured lies at sum(r) / sum(r^2).
    if any(network.sum_ms <= 0 or network.measured_ms <= 0 for network in networks):
        raise ValueError("latencies of a calibration must be above 0 ms")
    ratios = [network.sum_ms / network.measured_ms for network in networks]
    return sum(ratios) / sum(ratio * ratio for ratio in ratios)


def _held_out(networks: Sequence[CalibrationNetwork]) -> HeldOutError | None:
    if len(networks) < _LEAST_FOR_HELD_OUT:
        return None
    errors = []
    for index, left_out in enumerate(networks):
        scale = _scale([*networks[:index], *networks[index + 1 :]])
        errors.append(100 * (scale * left_out.sum_ms / left_out.measured_ms - 1))
    return HeldOutError(
        networks=len(networks),
        mape_percent=sum(abs(error) for error in errors) / len(errors),
        bias_percent=sum(errors) / len(errors),
        worst_percent=max(abs(error) for error in errors),
    )
