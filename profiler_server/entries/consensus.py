"""What the devices of one target say together, such that no single one of them decides.

Each device has one voice, however many visits it has sent. Where the devices are of one mind, the
voice of one that lies, or is broken, counts for little near the others and for nothing far from
them: the mean of those near the median has the median's breakdown point.
Source: Hampel, "The breakdown points of the mean combined with some rejection rules", Technometrics
27 (1985); the tolerance is fixed, because a spread cannot be estimated from three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from netspec.statistics import INTERVAL_LEVEL, Estimate
from profiler_server.latency_model.in_network import RESOLUTION_MS

#: a device counts if it is off the median over devices by no more than this share of it. One of
#: three moves the entry of two that agree by a third of it at most, whatever it says
TOLERANCE = 0.05


@dataclass(frozen=True)
class Consensus:
    """The value of an entry, out of what devices say."""

    value_ms: float
    #: interval at `INTERVAL_LEVEL`; of several devices, for those of the target at large
    low_ms: float
    high_ms: float
    #: whether each device counts, in their order
    counted: tuple[bool, ...]

    @property
    def holds(self) -> bool:
        """Whether most of the devices agree; else there is no telling who is right."""
        return 2 * sum(self.counted) > len(self.counted)


def consensus(devices: Sequence[Estimate], tolerance: float = TOLERANCE) -> Consensus:
    """The mean of those of the devices that are near their median; of one device what it says.

    The interval of several is Student's, of the devices as a sample of all that the target has. It
    is never narrower than the devices' own intervals make their mean, nor does it reach where a
    device that counts would be off by more than the tolerance. Source: Röver, Knapp and Friede,
    BMC Medical Research Methodology 15:99 (2015), the modified Knapp-Hartung interval.

    Args:
        devices: what each of at least one device says by itself.
        tolerance: how far a device that counts may be off the median, as a share of it.
    """
    if len(devices) == 1:
        return Consensus(devices[0].value_ms, devices[0].low_ms, devices[0].high_ms, (True,))
    values = np.array([one.value_ms for one in devices])
    median = float(np.median(values))
    # Nor is a device called off for less than what its runner prints.
    near = np.abs(values - median) <= max(tolerance * median, RESOLUTION_MS)
    counted: tuple[bool, ...] = tuple(near.tolist())
    agreeing = [one for one, counts in zip(devices, counted, strict=True) if counts]
    if 2 * len(agreeing) <= len(devices):
        least, most = min(one.low_ms for one in devices), max(one.high_ms for one in devices)
        return Consensus(median, least, most, counted)
    value = float(values[near].mean())
    below, above = _half_widths_ms(value, agreeing, tolerance)
    return Consensus(value, max(0.0, value - below), value + above, counted)


def _half_widths_ms(
    value: float, devices: Sequence[Estimate], tolerance: float
) -> tuple[float, float]:
    """How far the interval of at least two devices reaches below and above their mean."""
    halves = [max(one.high_ms - one.value_ms, one.value_ms - one.low_ms) for one in devices]
    own = math.hypot(*halves) / len(devices)
    spread = float(np.std([one.value_ms for one in devices], ddof=1))
    student = _quantile(len(devices) - 1) * spread / math.sqrt(len(devices))
    least = max(min(one.low_ms / (1 + tolerance), one.low_ms - RESOLUTION_MS) for one in devices)
    most = min(max(one.high_ms / (1 - tolerance), one.high_ms + RESOLUTION_MS) for one in devices)
    return max(own, min(student, value - least)), max(own, min(student, most - value))


@cache
def _quantile(freedom: int) -> float:
    """Student's quantile of the interval."""
    from scipy.special import stdtrit  # noqa: PLC0415 (heavy, and one device needs none)

    return float(stdtrit(freedom, (1 + INTERVAL_LEVEL) / 2))
