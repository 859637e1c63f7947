"""A first table for a phone whose sibling has one: the sibling's entries times one factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.interval import interval_factor

#: fewest operators measured on both that a factor is fitted to
LEAST_SHARED = 3


class TooFewShared(ValueError):
    """Too few operators were measured on both targets."""


@dataclass(frozen=True)
class FittedTransfer:
    """A sibling's table, brought to another target."""

    #: operators measured on both
    shared: int
    #: what the sibling's entries are multiplied by
    factor: float
    #: error of a transferred entry when it takes no part in fitting the factor, percent
    mape_percent: float
    #: the greatest of these errors, and its operator's key
    worst_percent: float
    worst: str
    #: see `interval.interval_factor`
    interval_factor: float
    #: of all operators; the target's own where they are measured
    prices: dict[str, Priced]
    #: keys of those that come from the sibling
    transferred: tuple[str, ...]


def transfer(sibling: Mapping[str, Priced], own: Mapping[str, Priced]) -> FittedTransfer:
    """The target's table from its own few entries and a sibling's many.

    The factor is the median ratio of entries measured on both, so a single operator
    that one of the two runs differently does not move it; its error is stated from leaving
    each of them out.

    Args:
        sibling: by operator key, values above 0 ms.
        own: likewise, of the target that is to be filled.

    Raises:
        TooFewShared: fewer than three operators were measured on both.
    """
    shared = sorted(sibling.keys() & own.keys())
    if len(shared) < LEAST_SHARED:
        raise TooFewShared(
            f"a transfer needs {LEAST_SHARED} operators measured on both targets, "
            f"there are {len(shared)}"
        )
    theirs = np.array([sibling[key].value_ms for key in shared])
    ours = np.array([own[key].value_ms for key in shared])
    ratios = ours / theirs
    factor = float(np.median(ratios))
    left_out = np.array([np.median(np.delete(ratios, index)) for index in range(len(shared))])
    widening = interval_factor(left_out * theirs, ours)
    assert widening is not None  # noqa: S101 (there are at least three)
    doubt = float(np.log(widening)) / 2
    transferred = tuple(sorted(sibling.keys() - own.keys()))
    moved = {
        key: Priced(
            factor * sibling[key].value_ms, float(np.hypot(sibling[key].relative_error, doubt))
        )
        for key in transferred
    }
    errors = 100 * np.abs(left_out * theirs / ours - 1)
    return FittedTransfer(
        shared=len(shared),
        factor=factor,
        mape_percent=float(errors.mean()),
        worst_percent=float(errors.max()),
        worst=shared[int(errors.argmax())],
        interval_factor=widening,
        prices={**moved, **own},
        transferred=transferred,
    )
