"""Which of Linux's thermal zones are the processor's, and how warm they say it is."""

from __future__ import annotations

import re

#: by vendors: Qualcomm's and most, Exynos and Tensor, old Qualcomm, MediaTek, Rockchip, HiSilicon
_CPU_ZONE = re.compile(
    r"cpu|^(?:big|mid|little|lit|cl[0-9])[0-9]*$|^tsens_tz_sensor[0-9]+$|^soc[-_]?thermal|"
    r"^cluster[0-9]|^apc[0-9]|^x86_pkg_temp$",
    re.IGNORECASE,
)
#: of the charge, the battery, a limit or a plan, whatever else the name says; `soc` alone is the
#: state of charge, in percent
_NO_CPU_ZONE = re.compile(
    r"^soc$|batt|bms|charg|gpu|modem|skin|max[-_]step|lowf|ibat|vbat", re.IGNORECASE
)
#: degrees at which a processor's first trip point may lie
_TRIPS = (40.0, 150.0)
#: and what its sensor may say
_PLAUSIBLE = (5.0, 130.0)
#: zones count in thousandths of a degree, old ones in tenths or whole degrees
_THOUSANDTHS_FROM = 1000.0
_TENTHS_FROM = 150.0


def is_cpu_zone(kind: str, trip: str = "") -> bool:
    """Whether a thermal zone is the processor's.

    Args:
        kind: its type.
        trip: its first trip point, empty where it has none or does not say.
    """
    if not _CPU_ZONE.search(kind) or _NO_CPU_ZONE.search(kind):
        return False
    celsius = _degrees(trip)
    return celsius is None or celsius <= 0 or _TRIPS[0] <= celsius <= _TRIPS[1]


def zone_celsius(text: str) -> float | None:
    """A thermal zone's `temp`, None where there is no sensor behind it."""
    celsius = _degrees(text)
    return celsius if celsius is not None and _PLAUSIBLE[0] <= celsius <= _PLAUSIBLE[1] else None


def _degrees(text: str) -> float | None:
    try:
        raw = float(text)
    except ValueError:
        return None
    if raw >= _THOUSANDTHS_FROM:
        return raw / 1000
    return raw / 10 if raw > _TENTHS_FROM else raw
