"""How long cores had each of their clocks, from cpufreq's `time_in_state`.

Source: the kernel's `Documentation/cpu-freq/cpufreq-stats.rst`: a line `KHZ TICKS` a clock, since
the phone started, in ticks of 10 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CORES = "/sys/devices/system/cpu"
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
    """How long a core or a GPU had each clock between two looks: ticks by kHz, of those it had."""

    ticks: Mapping[int, int]
    #: ticks in which a change of clock may be charged to the clock beside it
    exact: int = 1

    @property
    def mean_khz(self) -> float:
        """Over the time between."""
        return sum(khz * ticks for khz, ticks in self.ticks.items()) / sum(self.ticks.values())

    def beside(self, khz: int) -> tuple[int, float] | None:
        """Of the other clocks the one that it had for longest, kHz, and the share of all.

        None where it had others for no longer than the table is exact.
        """
        others = {other: ticks for other, ticks in self.ticks.items() if other != khz}
        total, away = sum(self.ticks.values()), sum(others.values())
        if away <= max(self.exact, _EXACT_SHARE * total):
            return None
        return max(others, key=others.__getitem__), away / total


def clock_times(
    core: int, before: Mapping[str, str], after: Mapping[str, str]
) -> ClockTimes | None:
    """What a core's table says of the time between two looks, of which each has values by path.

    None where it says nothing that is to be believed.
    """
    prefix = f"{clock_table(core)}/"
    was, is_now = (
        {
            int(path.removeprefix(prefix)): int(text)
            for path, text in values.items()
            if path.startswith(prefix)
        }
        for values in (before, after)
    )
    now = after.get(clock_file(core), "")
    return passed(was, is_now, int(now) if now.isdecimal() else None)


def passed(
    before: Mapping[int, int], after: Mapping[int, int], now_khz: int | None, exact: int = 1
) -> ClockTimes | None:
    """How long each clock was had between two looks at a table, of ticks by kHz.

    None where it says nothing, or gives no time to the clock that is had in the end: a kernel that
    switches clocks fast may not keep its table up.

    Args:
        before: at the first look.
        after: at the second.
        now_khz: the clock then; None where it is not known.
        exact: see `ClockTimes`.
    """
    rows = {khz: ticks - before[khz] for khz, ticks in after.items() if khz in before}
    ticks = {khz: ticks for khz, ticks in rows.items() if ticks > 0}
    return ClockTimes(ticks, exact) if now_khz in ticks else None
