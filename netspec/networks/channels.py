"""How many channels a width multiplier leaves."""

from __future__ import annotations


def round_channels(channels: float, divisor: int = 8) -> int:
    """Channels rounded to a multiple of `divisor`, never below 90 % of the wish.

    Source: `_make_divisible` of the MobileNet papers' reference code.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
