"""How many times as long each operator takes on another target as is taken for likely there.

That follows from a few that both targets have measured. The logarithm of the ratio is a Gaussian
process over the operators' features, around one common factor that nothing is known of beforehand:
what sums of work do not tell differs by kinds of layers, kernels and sizes, not by single
operators. A whole network that both have measured tells of the mean over its operators, each by its
share. How far ratios spread, and how far what is like is alike, is what makes the measured ones
most likely, each as it is predicted without it, among a few. Source: Rasmussen and Williams,
"Gaussian Processes for Machine Learning", sections 2.7 and 5.4.1; leaving one out: Dubrule (1983).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netspec.operators import Operator
from profiler_server.latency_model.design import INTERVAL_SIGMAS, Array
from profiler_server.latency_model.features import features
from profiler_server.latency_model.interval import LEVEL

#: how far ratios of operators that are alike differ together, as logarithms
_SPREADS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
#: how far by themselves
_OWN_SPREADS = (0.01, 0.03, 0.06, 0.12)
#: distance, in standard deviations of the features, at which operators are hardly alike any more
_REACHES = (2.0, 4.0, 8.0, 16.0)
#: what is taken for likely while nothing is measured
_USUAL = (0.2, 0.03, 4.0)
#: of the common factor's logarithm: anything is possible
_FACTOR_SPREAD = 10.0
#: how far networks differ from their operators by themselves, all together
_NETWORK_SPREAD = 0.05
#: no ratio is known better than this
_LEAST_NOISE = 0.01
#: linearisations of the logarithm of a sum
_ROUNDS = 8


@dataclass(frozen=True)
class SharedMeasurements:
    """What was measured on both targets."""

    #: ms of each operator in what was measured, on the source [measured, operators]
    parts_ms: Array
    #: target over source, as logarithm [measured]
    log_ratios: Array
    #: of the ratios, relative [measured]
    noise: Array
    #: whether it is a whole network [measured]
    networks: Array
    #: by how much the latencies that ratios are taken of are off where each is left out, as
    #: logarithm [measured]
    left_out: Array


@dataclass(frozen=True)
class Ratios:
    """Logarithms of all operators' ratios."""

    #: [operators]
    means: Array
    #: [operators, operators]
    covariance: Array
    #: of what was measured, when it is left out: logarithm of predicted over measured [measured]
    left_out: Array
    #: half a 95 % interval over the deviation
    widening: float


class RatioModel:
    """The process over a table's operators, before anything is measured.

    Args:
        operators: of the source's table, of one precision.
        values_ms: their entries there, above 0.
    """

    def __init__(self, operators: Sequence[Operator], values_ms: Array) -> None:
        inputs = np.column_stack([features(operators), np.log(values_ms)])
        spread = inputs.std(axis=0)
        inputs = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        squares = (inputs**2).sum(axis=1)
        apart = squares[:, None] + squares - 2 * inputs @ inputs.T
        self._distances = np.sqrt(np.maximum(apart, 0.0))
        self._values_ms = values_ms

    def prior(self, setting: tuple[float, float, float] = _USUAL) -> Array:
        """Covariance of log ratios [operators, operators], the common factor's part left out.

        Args:
            setting: spread of what is alike, own spread of each operator, and reach.
        """
        together, own, reach = setting
        return np.asarray(
            together**2 * self._likeness(reach) + own**2 * np.eye(len(self._values_ms))
        )

    def _likeness(self, reach: float) -> Array:
        """Matern's correlation of smoothness 5/2 [operators, operators]."""
        scaled = math.sqrt(5) * self._distances / reach
        return np.asarray((1 + scaled + scaled**2 / 3) * np.exp(-scaled))

    def fit(self, observed: SharedMeasurements) -> Ratios:
        """The ratios that what was measured makes likely.

        Args:
            observed: at least two.
        """
        shares, targets = _linear(observed, np.zeros(len(self._values_ms)))
        prior = (
            self.prior(self._likeliest(shares, targets - observed.left_out, observed))
            + _FACTOR_SPREAD**2
        )
        for _ in range(_ROUNDS):
            gain = prior @ shares.T @ np.linalg.inv(_measured(prior, shares, observed))
            means = gain @ targets
            shares, targets = _linear(observed, means)
        precision = np.linalg.inv(_measured(prior, shares, observed))
        gain = prior @ shares.T @ precision
        residuals = observed.left_out - (precision @ targets) / np.diag(precision)
        deviations = 1 / np.sqrt(np.diag(precision))
        return Ratios(
            means=gain @ targets,
            covariance=np.asarray(prior - gain @ shares @ prior),
            left_out=residuals,
            widening=_widening(residuals / deviations),
        )

    def _likeliest(
        self, shares: Array, targets: Array, observed: SharedMeasurements
    ) -> tuple[float, float, float]:
        """The setting that makes what was measured most likely."""
        noise = _noise(observed) + _FACTOR_SPREAD**2
        alone = shares @ shares.T
        found = [
            (
                _likelihood(together**2 * alike + own**2 * alone + noise, targets),
                (together, own, reach),
            )
            for reach in _REACHES
            for alike in [shares @ self._likeness(reach) @ shares.T]
            for together, own in itertools.product(_SPREADS, _OWN_SPREADS)
        ]
        return max(found)[1]


def _linear(observed: SharedMeasurements, means: Array) -> tuple[Array, Array]:
    """Shares [measured, operators], and what the log ratios come to, around these means.

    The logarithm of a sum's ratio is its operators' log ratios, each by its share on the target.
    """
    before = observed.parts_ms / observed.parts_ms.sum(axis=1, keepdims=True)
    now = before * np.exp(means)
    totals = now.sum(axis=1)
    shares = now / totals[:, None]
    return shares, observed.log_ratios - np.log(totals) + shares @ means


def _measured(prior: Array, shares: Array, observed: SharedMeasurements) -> Array:
    """Covariance of what was measured [measured, measured]."""
    return np.asarray(shares @ prior @ shares.T + _noise(observed))


def _noise(observed: SharedMeasurements) -> Array:
    """Of what was measured, each by itself and networks together [measured, measured]."""
    noise = np.diag(np.hypot(observed.noise, _LEAST_NOISE) ** 2)
    networks = observed.networks.astype(np.float64)
    return np.asarray(noise + _NETWORK_SPREAD**2 * np.outer(networks, networks))


def _likelihood(covariance: Array, targets: Array) -> float:
    """Logarithm of how likely the targets are, but for a constant."""
    _, logarithm = np.linalg.slogdet(covariance)
    return float(-0.5 * (targets @ np.linalg.solve(covariance, targets) + logarithm))


def _widening(sizes: Array) -> float:
    """See `Ratios.widening`: Student's quantile of the left-out errors' root mean square.

    Few errors cannot show one in twenty; their intervals are never narrower than the process's.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 (heavy, only needed to transfer)

    count = len(sizes)
    quantile = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * math.sqrt(1 + 1 / count)
    return max(INTERVAL_SIGMAS, quantile * float(np.sqrt(np.mean(sizes**2))))


def worth_measuring(
    covariance: Array, rows: Array, values_ms: Array, shares: Array, count: int
) -> list[int]:
    """What to measure next: each leaves the least doubt in networks' sums, given those before it.

    Both count: what is off in common, which adds up over a network, and what single operators are
    off by. So the first are the largest contributors and those that are like many others, and
    what follows lies far from these.

    Args:
        covariance: of log ratios [operators, operators].
        rows: of each candidate, how much it tells of each operator: a single 1, or a network's
            shares [candidates, operators].
        values_ms: of each operator.
        shares: how often a network contains each operator.
        count: at most so many.

    Returns:
        Indices of candidates, the most useful first.
    """
    usual = values_ms * shares
    single = values_ms**2 * shares * np.maximum(1.0 - shares, 0.0)
    told = covariance @ rows.T
    doubt = np.einsum("co,oc->c", rows, told)
    chosen: list[int] = []
    while len(chosen) < min(count, len(rows)):
        gains = ((usual @ told) ** 2 + single @ told**2) / (doubt + _LEAST_NOISE**2)
        gains[chosen] = -1.0
        at = int(gains.argmax())
        chosen.append(at)
        column, known = told[:, at].copy(), doubt[at] + _LEAST_NOISE**2
        heard = rows @ column
        told -= np.outer(column, heard) / known
        doubt -= heard**2 / known
    return chosen
