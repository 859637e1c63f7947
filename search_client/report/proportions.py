"""What a share of a few hundred or thousand test images is worth."""

from __future__ import annotations

import math


def wilson(share: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of images that are right.

    Source: Wilson's score interval, without continuity correction.

    >>> [round(end, 3) for end in wilson(0.9, 100)]
    [0.826, 0.945]
    """
    from scipy.stats import binomtest  # noqa: PLC0415 (takes longer to load than all else here)

    interval = binomtest(round(share * images), images).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def difference(first: float, second: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval of how much greater the first of two shares is.

    Both are taken as of images drawn on their own; of the same images the interval is a little
    too wide.

    Source: Newcombe 1998, "Interval estimation for the difference between independent
    proportions", method 10.
    """
    (first_low, first_high), (second_low, second_high) = (
        wilson(share, images) for share in (first, second)
    )
    below = math.hypot(first - first_low, second_high - second)
    above = math.hypot(first_high - first, second - second_low)
    return first - second - below, first - second + above
