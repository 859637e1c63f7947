"""Measured networks as a matrix: networks are rows, operators are columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

#: an entry is never trusted to less than this share of itself, however its visits agree:
#: what an operator costs by itself and inside a network differ by a few per cent
LEAST_RELATIVE_ERROR = 0.03
#: what a single visit may be off, relative; many together get better with their number
VISIT_SPREAD = 0.05
#: in a group, operators of sizes so many octaves apart are off alike by exp(-1/2)
REACH_OCTAVES = 1.0
#: how an operator's share of excess inside a network grows with the weights that it reads per ms:
#: the more it waits for them, the fewer it finds in the caches even by itself
WEIGHTS_EXPONENT = 0.75
#: half of a 95 % interval, in standard deviations
INTERVAL_SIGMAS = 1.96


@dataclass(frozen=True)
class Priced:
    """A value with its uncertainty."""

    value_ms: float
    #: standard error as a share of the value
    relative_error: float

    @classmethod
    def of_entry(cls, value_ms: float, low_ms: float, high_ms: float, visits: int) -> Self:
        """An entry with its 95 % interval, in ms; the wider side counts.

        A few visits agree by accident, so each entry is also doubted by how few they are.
        """
        doubt = VISIT_SPREAD / visits
        if value_ms > 0:
            half_ms = max(high_ms - value_ms, value_ms - low_ms, 0.0)
            doubt = math.hypot(doubt, half_ms / INTERVAL_SIGMAS / value_ms)
        return cls(value_ms, doubt)

    def interval_ms(self) -> tuple[float, float]:
        """The 95 % interval, in ms; never below 0."""
        width = math.exp(INTERVAL_SIGMAS * self.relative_error)
        return self.value_ms / width, self.value_ms * width


@dataclass(frozen=True)
class OperatorPrice(Priced):
    """An operator's entry."""

    #: operators of a group are off together, for instance those of one kernel size
    group: str = ""
    #: of weights that a run reads
    weight_bytes: int = 0
    #: side of the output in px; in a group, operators of like sides are off alike
    output_size: int = 1


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network that was measured, as the keys of its operators."""

    name: str
    operators: tuple[str, ...]
    latency: Priced


@dataclass(frozen=True)
class Design:
    """What a calibration is fitted on."""

    names: tuple[str, ...]
    #: operators' keys, sorted
    keys: tuple[str, ...]
    #: isolated entries, ms [operators]
    values_ms: Array
    #: standard deviation of what a network says of an entry, relative [operators]
    spreads: Array
    #: index of each operator's cell: its group at its output size [operators]
    cells: Indices
    #: correlation of how far cells are off: 0 between groups [cells, cells]
    likeness: Array
    #: weights that a run reads per ms of entry, to the power of `WEIGHTS_EXPONENT`, over what that
    #: is in networks on average [operators]
    weight_rates: Array
    #: how often each operator is in each network [networks, operators]
    counts: Array
    #: ms [networks]
    measured_ms: Array
    #: standard error of the measured latencies, relative [networks]
    relative_errors: Array
    #: mean of the networks' sums of entries, ms
    usual_ms: float

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sums_ms(self) -> Array:
        """Sum of each network's isolated entries, ms [networks]."""
        return np.asarray(self.counts @ self.values_ms)

    def rows(self, chosen: Indices) -> Design:
        """The design of some of the networks, with all operators."""
        return Design(
            names=tuple(self.names[index] for index in chosen),
            keys=self.keys,
            values_ms=self.values_ms,
            spreads=self.spreads,
            cells=self.cells,
            likeness=self.likeness,
            weight_rates=self.weight_rates,
            counts=self.counts[chosen],
            measured_ms=self.measured_ms[chosen],
            relative_errors=self.relative_errors[chosen],
            usual_ms=self.usual_ms,
        )


def design(networks: Sequence[MeasuredNetwork], entries: Mapping[str, OperatorPrice]) -> Design:
    """The design of measured networks under a table.

    Args:
        networks: at least one, of one precision.
        entries: by the operator's key: of every operator of the networks, and of all others that
            are to be corrected with them.

    Raises:
        ValueError: there are no networks, or a latency is not above 0 ms.
    """
    if not networks:
        raise ValueError("a calibration needs at least one network")
    keys = sorted(entries)
    column = {key: index for index, key in enumerate(keys)}
    counts = np.zeros((len(networks), len(keys)))
    for row, network in zip(counts, networks, strict=True):
        for key, count in Counter(network.operators).items():
            row[column[key]] = count
    values_ms = np.array([entries[key].value_ms for key in keys])
    measured_ms = np.array([network.latency.value_ms for network in networks])
    sums_ms = counts @ values_ms
    if min(sums_ms.min(), measured_ms.min()) <= 0:
        raise ValueError("latencies of a calibration must be above 0 ms")
    errors = np.array([entries[key].relative_error for key in keys])
    cells, likeness = _cells([entries[key] for key in keys])
    return Design(
        names=tuple(network.name for network in networks),
        keys=tuple(keys),
        values_ms=values_ms,
        spreads=np.hypot(errors, LEAST_RELATIVE_ERROR),
        cells=cells,
        likeness=likeness,
        weight_rates=_weight_rates(
            np.array([entries[key].weight_bytes for key in keys], dtype=np.float64),
            values_ms,
            counts,
        ),
        counts=counts,
        measured_ms=measured_ms,
        relative_errors=np.array([network.latency.relative_error for network in networks]),
        usual_ms=float(sums_ms.mean()),
    )


def _cells(prices: Sequence[OperatorPrice]) -> tuple[Indices, Array]:
    """See `Design.cells` and `Design.likeness`."""
    cells = sorted({(price.group, price.output_size) for price in prices})
    index = {cell: at for at, cell in enumerate(cells)}
    groups = np.array([group for group, _ in cells])
    octaves = np.log2([size for _, size in cells])
    likeness = np.exp(-0.5 * ((octaves[:, None] - octaves) / REACH_OCTAVES) ** 2)
    likeness[groups[:, None] != groups] = 0.0
    return np.array([index[price.group, price.output_size] for price in prices]), likeness


def _weight_rates(weight_bytes: Array, values_ms: Array, counts: Array) -> Array:
    """See `Design.weight_rates`; all 0 where no network reads weights."""
    rates = np.zeros_like(values_ms)
    np.divide(weight_bytes, values_ms, out=rates, where=values_ms > 0)
    rates **= WEIGHTS_EXPONENT
    usual = np.mean((counts @ (values_ms * rates)) / (counts @ values_ms))
    return np.asarray(rates / (usual or 1.0))
