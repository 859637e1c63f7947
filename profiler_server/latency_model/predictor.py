"""Latencies of operators that were not measured, learned from the same table's entries.

First a sum of rates times work (multiply-accumulates of each kind of operator, values moved,
weights read, a constant), none below 0: that alone tells a kernel that leaves the runtime's fast
path. Then a Gaussian process on what is left, as a logarithm, which knows how sure it is.
Nothing is stored: the model is fitted again from the entries.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspec.operators import Operator
from profiler_server.latency_model.design import Array, Indices, Priced
from profiler_server.latency_model.features import features, group, work
from profiler_server.latency_model.interval import LEVEL

#: fewest entries that a model is fitted to
LEAST_ENTRIES = 12
#: more are thinned out evenly: fitting stays a matter of seconds
MOST_ENTRIES = 600
#: folds that tell how far intervals must be widened
FOLDS = 8
#: an entry is never trusted to less than this share of itself
_LEAST_NOISE = 0.01
_MEGA = 1e-6


class TooFewEntries(ValueError):
    """A table is too small to learn from."""


@dataclass(frozen=True)
class Predicted:
    """The latency of an operator that was not measured, with its interval at `LEVEL`."""

    value_ms: float
    low_ms: float
    high_ms: float


class OperatorModel:
    """Fitted to one table's entries of one precision.

    Args:
        operators: measured ones, at least `LEAST_ENTRIES`.
        entries: of each, in the same order.

    Raises:
        TooFewEntries: there are too few, or they are all of one latency.
        ValueError: a value is not above 0 ms.
    """

    def __init__(self, operators: Sequence[Operator], entries: Sequence[Priced]) -> None:
        if len(operators) < LEAST_ENTRIES:
            raise TooFewEntries(
                f"predictions need {LEAST_ENTRIES} measured operators, there are {len(operators)}"
            )
        if min(entry.value_ms for entry in entries) <= 0:
            raise ValueError("latencies to learn from must be above 0 ms")
        kept = _thinned(operators, entries)
        self.operators = tuple(operators[index] for index in kept)
        values_ms = np.array([entries[index].value_ms for index in kept])
        noise = np.array([max(entries[index].relative_error, _LEAST_NOISE) for index in kept])
        self._fitted = _Fitted(self.operators, values_ms, noise)
        self._widening = _widening(self.operators, values_ms, noise, self._fitted.kernel)

    def knows(self, operator: Operator) -> bool:
        """Whether entries of its kind, and of its kernel size, were learned from."""
        return group(operator) in self._fitted.groups

    def predict(self, operators: Sequence[Operator]) -> list[Predicted]:
        """Latencies of operators that it `knows`."""
        if not operators:
            return []
        means, covariance = self.posterior(operators)
        half = self._quantile * np.sqrt(np.diag(covariance))
        return [
            Predicted(*map(float, np.exp((mean, mean - width, mean + width))))
            for mean, width in zip(means, half, strict=True)
        ]

    def posterior(self, operators: Sequence[Operator]) -> tuple[Array, Array]:
        """Mean [operators] and covariance [operators, operators] of log latencies (ms)."""
        means, covariance = self._fitted.posterior(operators)
        return means, covariance * self._widening**2

    @property
    def _quantile(self) -> float:
        from scipy.special import stdtrit  # noqa: PLC0415 (heavy, only needed to predict)

        return float(stdtrit(len(self.operators) - 1, (1 + LEVEL) / 2))


class _Fitted:
    """Rates and Gaussian process of some entries."""

    def __init__(
        self, operators: Sequence[Operator], values_ms: Array, noise: Array, kernel: Any = None
    ) -> None:
        from scipy.optimize import nnls  # noqa: PLC0415 (heavy, only needed to predict)
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415

        self.groups: dict[str, int] = {}
        for operator in operators:
            self.groups.setdefault(group(operator), len(self.groups))
        amounts = self._amounts(operators)
        self._rates, _ = nnls(amounts / values_ms[:, None], np.ones(len(operators)))
        # Where every rate of an operator's work came out as 0 its logarithm must still exist.
        self._least_ms = float(values_ms.min()) / 10
        inputs = self._raw_inputs(operators)
        self._centre, spread = inputs.mean(axis=0), inputs.std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)
        self._process = GaussianProcessRegressor(
            kernel=_kernel() if kernel is None else kernel,
            alpha=noise**2,
            optimizer="fmin_l_bfgs_b" if kernel is None else None,
        )
        with warnings.catch_warnings():
            # A parameter at its bound: nothing is left to explain, or nothing explains it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process.fit(self._inputs(operators), np.log(values_ms) - self._trend(operators))
        self.kernel = self._process.kernel_

    def posterior(self, operators: Sequence[Operator]) -> tuple[Array, Array]:
        means, covariance = self._process.predict(self._inputs(operators), return_cov=True)
        return self._trend(operators) + means, covariance

    def _trend(self, operators: Sequence[Operator]) -> Array:
        """Logarithm of rates times work."""
        return np.asarray(
            np.log(np.maximum(self._amounts(operators) @ self._rates, self._least_ms))
        )

    def _inputs(self, operators: Sequence[Operator]) -> Array:
        return np.asarray((self._raw_inputs(operators) - self._centre) / self._spread)

    def _raw_inputs(self, operators: Sequence[Operator]) -> Array:
        return np.column_stack([features(operators), self._trend(operators)])

    def _amounts(self, operators: Sequence[Operator]) -> Array:
        """Work by what may have a rate of its own; the last columns are the groups' [operators]."""
        rows = []
        for operator in operators:
            does = work(operator)
            own = [0.0] * len(self.groups)
            own[self.groups[group(operator)]] = _MEGA * (
                does.depthwise_macs or does.macs or does.activations
            )
            shared = (does.pointwise_macs, does.activations, does.weights)
            rows.append([*(_MEGA * amount for amount in shared), 0.01, *own])
        return np.array(rows)


def _kernel() -> Any:
    from sklearn.gaussian_process import kernels  # noqa: PLC0415 (heavy, only needed to predict)

    similar = kernels.ConstantKernel(0.05, (1e-4, 1e1)) * kernels.Matern(2.0, (0.3, 1e2), nu=2.5)
    return similar + kernels.WhiteKernel(1e-3, (1e-6, 1e-1))


def _thinned(operators: Sequence[Operator], entries: Sequence[Priced]) -> list[int]:
    order = sorted(range(len(operators)), key=lambda at: (entries[at].value_ms, operators[at].key))
    if len(order) <= MOST_ENTRIES:
        return order
    return [order[int(at)] for at in np.linspace(0, len(order) - 1, MOST_ENTRIES)]


def _widening(operators: Sequence[Operator], values_ms: Array, noise: Array, kernel: Any) -> float:
    """By how much left-out entries are farther off than the process believes; at least 1."""
    squares: list[float] = []
    for fold, others in _splits(len(operators)):
        fitted = _Fitted([operators[at] for at in others], values_ms[others], noise[others], kernel)
        known = [int(at) for at in fold if group(operators[at]) in fitted.groups]
        if known:
            means, covariance = fitted.posterior([operators[at] for at in known])
            errors = np.log(values_ms[known]) - means
            squares += list(errors**2 / (np.diag(covariance) + noise[known] ** 2))
    return max(1.0, float(np.sqrt(np.mean(squares)))) if squares else 1.0


def _splits(count: int) -> Iterator[tuple[Indices, Indices]]:
    everything = np.arange(count)
    for start in range(FOLDS):
        fold = everything[start::FOLDS]
        yield fold, np.setdiff1d(everything, fold)
