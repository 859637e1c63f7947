"""Latencies of operators that were not measured, learned from the same table's entries.

First a sum of rates times work (multiply-accumulates of each kind of operator, values moved,
weights read, a constant), none below 0: that alone tells a kernel that leaves the runtime's fast
path. Then a Gaussian process on what is left, as a logarithm, which knows how sure it is.
Nothing is stored: the model is fitted again from the entries.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspec.operators import Operator
from profiler_server.latency_model.design import INTERVAL_SIGMAS, Array, Indices, Priced
from profiler_server.latency_model.features import COLUMNS, features, work
from profiler_server.latency_model.interval import LEVEL

#: fewest entries that a model is fitted to
LEAST_ENTRIES = 12
#: more are thinned out evenly: fitting stays a matter of seconds
MOST_ENTRIES = 600
#: folds that tell how far intervals must be widened
FOLDS = 8
#: an operator is out of reach from so many times the greatest distance on that left-out entries lay
REACH = 2.0
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
        self._widening = _Widening.of(self.operators, values_ms, noise, self._fitted.kernel)

    def knows(self, operator: Operator) -> bool:
        """Whether entries of its kind, and of its kernel size, were learned from."""
        return operator.family in self._fitted.groups

    def reaches(self, operators: Sequence[Operator]) -> list[bool]:
        """Of operators that it `knows`, those that are near enough to what was measured."""
        if not operators:
            return []
        near = self._fitted.distances(operators) <= self._widening.farthest
        return [bool(one) for one in near]

    def nearest(self, operator: Operator, count: int = 3) -> list[Operator]:
        """The measured operators most like one that it `knows`, the nearest first."""
        order = self._fitted.distances_to(operator).argsort(kind="stable")[:count]
        return [self.operators[int(at)] for at in order]

    def predict(self, operators: Sequence[Operator]) -> list[Predicted]:
        """Latencies of operators that it `knows`."""
        if not operators:
            return []
        means, covariance = self.posterior(operators)
        half = INTERVAL_SIGMAS * np.sqrt(np.diag(covariance))
        return [
            Predicted(*map(float, np.exp((mean, mean - width, mean + width))))
            for mean, width in zip(means, half, strict=True)
        ]

    def posterior(self, operators: Sequence[Operator]) -> tuple[Array, Array]:
        """Mean [operators] and covariance [operators, operators] of log latencies (ms).

        A deviation is a share `1 / INTERVAL_SIGMAS` of half the interval, which is wider beyond
        what was measured.
        """
        means, covariance = self._fitted.posterior(operators)
        factors = self._widening.factors(self._fitted.distances(operators)) / INTERVAL_SIGMAS
        return means, covariance * np.outer(factors, factors)


@dataclass(frozen=True)
class _Widening:
    """Half an interval over the process's deviation, as entries that were left out have it.

    Left out were single entries, every eighth at a time, and whole blocks: all of some output
    sides, and all of some widths, so that some lie farther from what was learned than any single
    one does. Conformal: the factor is the rank of the errors that `LEVEL` asks for, in each of
    the two kinds by itself. Source: Vovk et al., "Algorithmic Learning in a Random World", 4.6
    (Mondrian predictors).
    """

    #: distance up to which an operator counts as within what was measured
    near: float
    #: distance beyond which nothing is known
    farthest: float
    inside: float
    beyond: float

    @classmethod
    def of(
        cls, operators: Sequence[Operator], values_ms: Array, noise: Array, kernel: Any
    ) -> _Widening:
        """Fitted anew without each part, with the kernel of the whole."""
        everything = np.arange(len(operators))
        singly = [everything[start::FOLDS] for start in range(FOLDS)]
        errors, distances = _left_out(singly, operators, values_ms, noise, kernel)
        near = float(np.quantile(distances, LEVEL)) if len(distances) else 0.0
        inside = max(_conformal(errors), INTERVAL_SIGMAS)
        errors, distances = _left_out(_blocks(operators), operators, values_ms, noise, kernel)
        far = distances > near
        return cls(
            near=near,
            farthest=REACH * float(distances.max(initial=near)),
            inside=inside,
            beyond=max(inside, _conformal(errors[far])),
        )

    def factors(self, distances: Array) -> Array:
        """Half an interval over the deviation, at each distance."""
        return np.where(distances <= self.near, self.inside, self.beyond)


def _conformal(errors: Array) -> float:
    """The error, in deviations, that a share `LEVEL` of new ones stays below; 0 of none."""
    ordered = np.sort(errors)
    rank = min(math.ceil((len(ordered) + 1) * LEVEL - 1e-9), len(ordered))
    return float(ordered[rank - 1]) if rank else 0.0


def _blocks(operators: Sequence[Operator]) -> list[Indices]:
    """Neighbours in output side, then in width: each block at once is what was not measured."""
    rows = features(operators)
    blocks: list[Indices] = []
    for column in ("log output side", "log widest channels"):
        values = rows[:, COLUMNS.index(column)]
        some = np.unique(values)
        for part in np.array_split(some, min(FOLDS, len(some))):
            block = np.flatnonzero(np.isin(values, part))
            # Nothing can be learned from what is left of a table of one size.
            if len(operators) - len(block) >= LEAST_ENTRIES:
                blocks.append(block)
    return blocks


def _left_out(
    parts: Sequence[Indices],
    operators: Sequence[Operator],
    values_ms: Array,
    noise: Array,
    kernel: Any,
) -> tuple[Array, Array]:
    """Errors of entries in deviations, and distances, each part by what the others teach."""
    errors, distances = [], []
    for part in parts:
        others = np.setdiff1d(np.arange(len(operators)), part)
        fitted = _Fitted([operators[at] for at in others], values_ms[others], noise[others], kernel)
        known = [int(at) for at in part if operators[at].family in fitted.groups]
        if known:
            asked = [operators[at] for at in known]
            means, covariance = fitted.posterior(asked)
            deviations = np.sqrt(np.diag(covariance) + noise[known] ** 2)
            errors.append(np.abs(np.log(values_ms[known]) - means) / deviations)
            distances.append(fitted.distances(asked))
    return np.concatenate([np.zeros(0), *errors]), np.concatenate([np.zeros(0), *distances])


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
            self.groups.setdefault(operator.family, len(self.groups))
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
        #: [learned, columns]
        self._learned = self._inputs(operators)
        with warnings.catch_warnings():
            # A parameter at its bound: nothing is left to explain, or nothing explains it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process.fit(self._learned, np.log(values_ms) - self._trend(operators))
        self.kernel = self._process.kernel_

    def posterior(self, operators: Sequence[Operator]) -> tuple[Array, Array]:
        means, covariance = self._process.predict(self._inputs(operators), return_cov=True)
        return self._trend(operators) + means, covariance

    def distances(self, operators: Sequence[Operator]) -> Array:
        """From each to the nearest that was learned from, in standard deviations of features."""
        return np.array([self.distances_to(operator).min() for operator in operators])

    def distances_to(self, operator: Operator) -> Array:
        """From one to all that were learned from [learned]."""
        (place,) = self._inputs([operator])
        return np.asarray(np.linalg.norm(self._learned - place, axis=1))

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
            own[self.groups[operator.family]] = _MEGA * (
                does.depthwise_macs or does.macs or does.activations or does.in_place
            )
            shared = (does.pointwise_macs, does.activations, does.weights, does.in_place)
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
