"""May one visit enter an estimate?"""

from __future__ import annotations

from netspec.protocol import Acceptance
from netspec.statistics import VisitStatistics


def rejection(statistics: VisitStatistics, clean_share: float | None, rules: Acceptance) -> str:
    """Why the visit must not enter an estimate, empty if it may.

    Where the runner tells which runs had the core to themselves, that decides: an estimate is made
    of a visit's fastest runs, so the others may be as slow as they like. Elsewhere
    the spread of the runs has to do.

    Args:
        statistics: of the visit's runs.
        clean_share: share of its runs that had the core to themselves, None where nobody knows.
        rules: the protocol's.
    """
    if clean_share is not None:
        if clean_share < rules.min_clean_share:
            return (
                f"only {clean_share:.0%} of the runs had the core to themselves, at least "
                f"{rules.min_clean_share:.0%} wanted"
            )
        return ""
    spread = statistics.median_us / statistics.p5_us if statistics.p5_us else 1.0
    if spread > rules.max_spread:
        return (
            f"the median run took {spread:.2f} times as long as the 5th percentile, at most "
            f"{rules.max_spread:g} times wanted"
        )
    return ""
