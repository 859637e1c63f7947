"""An interval around predictions that says how far they may be off."""

from __future__ import annotations

import math
import sys

import numpy as np

from profiler_server.latency_model.design import Array

#: two-sided level of a prediction interval
LEVEL = 0.95


def interval_factor(predicted_ms: Array, measured_ms: Array) -> float | None:
    """By how much, up or down, a new network may be off its prediction, at `LEVEL`.

    From enough networks the conformal quantile of the errors' logarithms, which holds whatever
    their distribution; from fewer, which cannot show one error in twenty, Student's quantile
    of their root mean square. The interval is predicted / factor to predicted * factor.
    Source: Vovk et al., "Algorithmic Learning in a Random World", 2.2.

    Returns:
        A factor of at least 1; None for fewer than 2 networks, and where no factor that floats
        hold covers the errors, as when a prediction is not above 0 ms.
    """
    if predicted_ms.min() <= 0:
        return None
    sizes = np.sort(np.abs(np.log(predicted_ms / measured_ms)))
    count = len(sizes)
    if count < 2:  # noqa: PLR2004 (one error has no spread)
        return None
    rank = math.ceil((count + 1) * LEVEL - 1e-9)
    if rank <= count:
        return _factor(float(sizes[rank - 1]))
    from scipy.special import stdtrit  # noqa: PLC0415 (heavy, and only needed to publish)

    quantile = float(stdtrit(count - 1, (1 + LEVEL) / 2))
    return _factor(quantile * float(np.sqrt(np.mean(sizes**2))) * math.sqrt(1 + 1 / count))


def _factor(logarithm: float) -> float | None:
    return math.exp(logarithm) if logarithm < math.log(sys.float_info.max) else None
