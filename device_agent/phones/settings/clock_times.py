"""How long cores had each of their clocks, from cpufreq's `time_in_state`.

Source: the kernel's `Documentation/cpu-freq/cpufreq-stats.rst`: a line `KHZ TICKS` a clock, since
the phone started, in ticks of 10 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CORES = "/sys/devices/system/cpu"
#: a change of clock may be charged to the tick beside it
_EXACT_TICKS = 1
#: of a visit: what is told by none of its runs
_EXACT_SHARE = 0.02


def clock_file(core: int) -> str:
    """The file that says which clock a core has, kHz."""
    return f"{CORES}/cpu{core}/cpufreq/scaling_cur_freq"


def clock_table(core: int) -> str:
    """The file that says how long a core had each clock."""
    return f"{CORES}/cpu{core}/cpufreq/stats/time_in_state"


@dataclass(frozen=True)
class ClockTimes:
    """How long a core had each clock between two looks: ticks by kHz, of those that it had."""

    ticks: Mapping[int, int]

    @property
    def mean_khz(self) -> float:
        """Over the time between."""
        return sum(khz * ticks for khz, ticks in self.ticks.items()) / sum(self.ticks.values())

    def beside(self, khz: int) -> tuple[int, float] | None:
        """Of the other clocks the one that the core had for longest, kHz, and the share of all.

        None where it had others for no longer than the table is exact.
        """
        others = {other: ticks for other, ticks in self.ticks.items() if other != khz}
        total, away = sum(self.ticks.values()), sum(others.values())
        if away <= max(_EXACT_TICKS, _EXACT_SHARE * total):
            return None
        return max(others, key=others.__getitem__), away / total


def clock_times(
    core: int, before: Mapping[str, str], after: Mapping[str, str]
) -> ClockTimes | None:
    """What a core's table says of the time between two looks, of which each has values by path.

    None where it says nothing, or gives no time to the clock that the core has in the end: a
    kernel that switches clocks fast may not keep its table up.
    """
    prefix = f"{clock_table(core)}/"
    rows = {
        int(path.removeprefix(prefix)): int(text) - int(before[path])
        for path, text in after.items()
        if path.startswith(prefix) and path in before
    }
    ticks = {khz: ticks for khz, ticks in rows.items() if ticks > 0}
    now = after.get(clock_file(core), "")
    return ClockTimes(ticks) if now.isdecimal() and int(now) in ticks else None
