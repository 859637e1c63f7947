"""A target's table out of a sibling's and a few visits: what to visit, and what follows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netspec.operators import Operator
from profiler_server.latency_model.adaptive import doubt_ms
from profiler_server.latency_model.additive import fit_additive, parts
from profiler_server.latency_model.design import (
    INTERVAL_SIGMAS,
    Array,
    MeasuredNetwork,
    Priced,
)
from profiler_server.latency_model.ratios import RatioModel, SharedMeasurements, worth_measuring

#: fewest operators and networks measured on both from which a table is made
LEAST_OBSERVED = 4
#: share of the first visits that are of whole networks, on which the target is calibrated, too
NETWORK_SHARE = 0.6
#: how often a network contains an operator where no network is known
_USUAL_SHARE = 0.5
#: doubtful operators that are named
_MOST_DOUBTFUL = 64
#: of the common factor's logarithm while nothing is measured; more would hide all else
_FACTOR_SPREAD = 1.0


@dataclass(frozen=True)
class BroughtOver:
    """A table of the target, of one precision."""

    #: of all the source's operators, by key; the target's own where they are measured
    prices: dict[str, Priced]
    #: keys of those that come from the source
    fitted: tuple[str, ...]
    #: of what was measured on both, each left out once: error, the greatest, and whose it is
    mape_percent: float
    worst_percent: float
    worst: str
    #: how many these were
    observed: int
    #: expected error of a network's sum, percent
    sum_percent: float
    #: keys of some fitted operators, those first whose measurement would leave the least doubt
    doubtful: tuple[str, ...]


class SiblingTable:
    """The source's entries of one precision, and its networks whose operators all have one.

    Args:
        operators: with an entry above 0 ms, distinct.
        prices: of each.
        networks: by their keys; of these, those of other operators are left alone.
    """

    def __init__(
        self,
        operators: Sequence[Operator],
        prices: Sequence[Priced],
        networks: Sequence[MeasuredNetwork],
    ) -> None:
        self._keys = [operator.key for operator in operators]
        known = set(self._keys)
        whole = [one for one in networks if known.issuperset(one.operators)]
        self._prices = dict(zip(self._keys, prices, strict=True))
        self._prices |= {one.name: one.latency for one in whole}
        self._networks = [one.name for one in whole]
        self._values_ms = np.array([price.value_ms for price in prices])
        counts = [Counter(one.operators) for one in whole]
        self._counts = np.array(
            [[count[key] for key in self._keys] for count in counts], dtype=np.float64
        ).reshape(len(whole), len(self._keys))
        self._model = RatioModel(operators, self._values_ms)
        self._parts = parts(operators, self._values_ms)
        #: how often a network contains each operator, all alike: what a search will ask for is open
        self._shares = np.full(len(self._keys), _usual_share(self._counts))

    def choose(self, visits: int, measured: Collection[str] = ()) -> list[str]:
        """What to measure on the target: names of networks, then keys of operators.

        Args:
            visits: at most so many.
            measured: names and keys that need no visit.
        """
        covariance = self._model.prior() + _FACTOR_SPREAD**2
        chosen: list[str] = []
        wanted = round(NETWORK_SHARE * visits)
        for names, count in ((self._networks, wanted), (self._keys, visits)):
            left = [name for name in names if name not in measured]
            rows = np.array([self._row(name) for name in left]).reshape(-1, len(self._keys))
            picked = worth_measuring(
                covariance, rows, self._values_ms, self._shares, count - len(chosen)
            )
            for at in picked:
                covariance = _after(covariance, rows[at])
            chosen += [left[at] for at in picked]
        return chosen

    def bring_over(self, own: Mapping[str, Priced]) -> BroughtOver | None:
        """The target's table; None where fewer than `LEAST_OBSERVED` were measured on both.

        Args:
            own: of the target, by key of operator and name of network, above 0 ms.
        """
        both = [name for name in (*self._keys, *self._networks) if name in own]
        if len(both) < LEAST_OBSERVED:
            return None
        noise = np.array(
            [
                math.hypot(own[name].relative_error, self._prices[name].relative_error)
                for name in both
            ]
        )
        counts = np.array([self._counted(name) for name in both])
        sums_ms = counts @ self._values_ms
        # A network is not quite the sum of its operators, on either target.
        ours_ms = (
            np.array([own[name].value_ms / self._prices[name].value_ms for name in both]) * sums_ms
        )
        measured = counts @ self._parts
        additive = fit_additive(measured, ours_ms, noise)
        there_ms = self._parts @ additive.costs
        ratios = self._model.fit(
            SharedMeasurements(
                parts_ms=counts * there_ms,
                log_ratios=np.log(ours_ms / (counts @ there_ms)),
                noise=noise,
                networks=np.array([name in self._networks for name in both]),
                left_out=np.log(additive.left_out(measured)),
            )
        )
        covariance = ratios.covariance * (ratios.widening / INTERVAL_SIGMAS) ** 2
        covariance += additive.covariance(self._parts)
        values_ms = there_ms * np.exp(ratios.means)
        errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        prices = {
            key: own.get(key, Priced(float(value), float(error)))
            for key, value, error in zip(self._keys, values_ms, errors, strict=True)
        }
        fitted = [at for at, key in enumerate(self._keys) if key not in own]
        covariance = covariance[np.ix_(fitted, fitted)]
        values_ms, shares = values_ms[fitted], self._shares[fitted]
        order = worth_measuring(covariance, np.eye(len(fitted)), values_ms, shares, _MOST_DOUBTFUL)
        off = 100 * np.abs(np.expm1(ratios.left_out))
        whole_ms = float(self._shares @ [prices[key].value_ms for key in self._keys])
        return BroughtOver(
            prices=prices,
            fitted=tuple(self._keys[at] for at in fitted),
            mape_percent=float(off.mean()),
            worst_percent=float(off.max()),
            worst=both[int(off.argmax())],
            observed=len(both),
            sum_percent=100 * doubt_ms(covariance, values_ms, shares) / whole_ms,
            doubtful=tuple(self._keys[fitted[at]] for at in order),
        )

    def _counted(self, name: str) -> Array:
        """How often each operator is in an operator or a network [operators]."""
        if name in self._networks:
            return np.asarray(self._counts[self._networks.index(name)])
        return np.asarray(np.array(self._keys) == name, np.float64)

    def _row(self, name: str) -> Array:
        parts_ms = self._counted(name) * self._values_ms
        return np.asarray(parts_ms / parts_ms.sum())


def _after(covariance: Array, row: Array) -> Array:
    """What is left of a covariance once something was measured."""
    column = covariance @ row
    return np.asarray(covariance - np.outer(column, column) / (row @ column + 1e-4))


def _usual_share(counts: Array) -> float:
    networks, operators = counts.shape
    return min(float(counts.sum()) / networks / operators, 1.0) if networks else _USUAL_SHARE
