"""What operators take on another target: so much of their time here, and so much for their work.

Other kernels take another time for a multiplication or for a byte, and another thread divides what
can be divided: neither is a factor, but both add up. So an operator's latency there is a sum of
what it takes here, of its multiplications of each kind, of what it moves, and of a part that every
operator has, none of them negative; and a network's is that of its operators' sums. Where few are
measured the parts beside the first are held back, as much as predicts best what is left out.
Source: Lawson and Hanson, "Solving Least Squares Problems", chapter 23; Hoerl and Kennard, "Ridge
Regression" (1970).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netspec.operators import Operator
from profiler_server.latency_model.design import Array
from profiler_server.latency_model.features import LARGE_KERNEL, work

#: how much the parts beside the first are held back: not at all, somewhat, altogether
_RIDGES = (0.0, 1e-3, 1e-2, 3e-2, 1e-1, 1e6)
#: no latency is taken to be known better than this, relative
_LEAST_NOISE = 0.02
#: of the first part's usual cost, what it costs at least: nothing takes no time
_LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Additive:
    """The parts' shares of one target's latencies, as fitted to a few."""

    #: ms for each unit of a part [parts]
    costs: Array
    #: the same when each of what was measured is left out [measured, parts]
    without: Array

    def left_out(self, measured: Array) -> Array:
        """Of each that was measured, what is predicted without it over the fitted [measured]."""
        return np.asarray((measured * self.without).sum(axis=1) / (measured @ self.costs))

    def covariance(self, parts_of: Array) -> Array:
        """Of the logarithms of what these take, by leaving out each that was measured (jackknife).

        Args:
            parts_of: parts of operators [operators, parts].

        Returns:
            Shape [operators, operators].
        """
        count = len(self.without)
        moved = np.log((parts_of @ self.without.T) / (parts_of @ self.costs)[:, None])
        moved -= moved.mean(axis=1, keepdims=True)
        return np.asarray((count - 1) / count * moved @ moved.T)


def parts(operators: Sequence[Operator], values_ms: Array) -> Array:
    """What an operator's latency elsewhere is a sum of [operators, parts].

    Args:
        operators: any.
        values_ms: what each takes on the source.
    """
    does = [work(operator) for operator in operators]
    slow = [operator.largest_kernel >= LARGE_KERNEL for operator in operators]
    return np.column_stack(
        [
            values_ms,
            [one.pointwise_macs for one in does],
            [one.depthwise_macs for one in does],
            [one.depthwise_macs * large for one, large in zip(does, slow, strict=True)],
            [one.activations + one.in_place for one in does],
            [one.weights for one in does],
            np.ones(len(does)),
        ]
    ).astype(np.float64)


def fit_additive(measured: Array, latencies_ms: Array, noise: Array) -> Additive:
    """The costs of the parts that a few measured latencies follow from.

    Args:
        measured: parts of what was measured, networks' summed [measured, parts].
        latencies_ms: what each took on the target, above 0.
        noise: relative error of each.
    """
    count = len(latencies_ms)
    weights = 1 / (latencies_ms * np.hypot(noise, _LEAST_NOISE))
    rows = [np.arange(count), *(np.delete(np.arange(count), at) for at in range(count))]

    def errors(ridge: float) -> tuple[float, tuple[Array, ...]]:
        found = tuple(
            _costs(measured[kept], latencies_ms[kept], weights[kept], ridge) for kept in rows
        )
        totals = np.array([measured[at] @ found[1 + at] for at in range(count)])
        return float(np.sum((weights * (totals - latencies_ms)) ** 2)), found

    _, (costs, *without) = min((errors(ridge) for ridge in _RIDGES), key=lambda one: one[0])
    return Additive(costs, np.array(without))


def _costs(measured: Array, latencies_ms: Array, weights: Array, ridge: float) -> Array:
    from scipy.optimize import nnls  # noqa: PLC0415 (heavy, only needed to transfer)

    least = _LEAST_SHARE * float(np.median(latencies_ms / measured[:, 0]))
    scale = measured.mean(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    rows = measured / scale * weights[:, None]
    wanted = weights * (latencies_ms - least * measured[:, 0])
    held_back = np.sqrt(ridge * len(rows)) * np.diag(rows.mean(axis=0))[1:]
    found, _ = nnls(
        np.vstack([rows, held_back]), np.concatenate([wanted, np.zeros(len(held_back))])
    )
    costs = np.asarray(found / scale)
    costs[0] += least
    return costs
