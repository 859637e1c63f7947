"""Numbers for people: a unit in which they are short, and no more digits than help."""

from __future__ import annotations

_MINUTE_S, _HOUR_S = 60, 3600
_MIB = 2**20
#: digits of a latency that are shown: measured ones repeat to about a percent
_DIGITS = 3


def latency_text(value_ms: float, digits: int = _DIGITS) -> str:
    """Return a latency with its unit: us below 1 ms, else ms; three significant digits.

    >>> latency_text(0.009580461538461538), latency_text(4.2849), latency_text(123.456)
    ('9.58 us', '4.28 ms', '123 ms')
    """
    if abs(float(f"{value_ms:.{digits - 1}e}")) < 1:
        return f"{significant(value_ms * 1000, digits)} us"
    return f"{significant(value_ms, digits)} ms"


def energy_text(value_mj: float) -> str:
    """Return an energy with its unit: uJ below 1 mJ, else mJ; three significant digits.

    >>> energy_text(0.0421), energy_text(1.5)
    ('42.1 uJ', '1.50 mJ')
    """
    if abs(float(f"{value_mj:.{_DIGITS - 1}e}")) < 1:
        return f"{significant(value_mj * 1000)} uJ"
    return f"{significant(value_mj)} mJ"


def memory_text(size: float) -> str:
    """Return bytes in KiB or MiB; three significant digits.

    >>> memory_text(8_192), memory_text(4_404_019)
    ('8.00 KiB', '4.20 MiB')
    """
    if size < _MIB:
        return f"{significant(size / 1024)} KiB"
    return f"{significant(size / _MIB)} MiB"


def duration_text(seconds: float) -> str:
    """Return a duration in the units in which people tell it.

    >>> duration_text(0.34), duration_text(75), duration_text(3_720)
    ('0.3 s', '1 min 15 s', '1 h 2 min')
    """
    if seconds < _MINUTE_S - 0.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - 2 digits
    whole = round(seconds)
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    minutes = round(whole / _MINUTE_S)
    return f"{minutes // 60} h {minutes % 60} min"


def significant(value: float, digits: int = _DIGITS) -> str:
    """Return a number with so many significant digits, never in powers of ten."""
    if value == 0:
        return "0"
    # `e` rounds before it counts: 9.996 has two digits before the point, not one.
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:.{max(digits - 1 - exponent, 0)}f}"
