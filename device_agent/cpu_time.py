"""How much of a core's time is used, from `/proc/stat`."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

#: fields of a line of `/proc/stat` in which a core rests: idle, and waiting for a disk
_RESTING = (3, 4)
#: fields before those that are counted twice (guests)
_FIELDS = 8


@dataclass(frozen=True)
class CpuTime:
    """Ticks since the system started."""

    busy: int
    total: int


def cpu_time(stat: str, cores: Collection[int]) -> CpuTime | None:
    """Ticks of these cores together; None where the text does not list one of them."""
    lines = {name: rest for name, _, rest in (line.partition(" ") for line in stat.splitlines())}
    busy = total = 0
    for core in cores:
        fields = [int(value) for value in lines.get(f"cpu{core}", "").split()[:_FIELDS]]
        if not fields:
            return None
        resting = sum(fields[index] for index in _RESTING)
        total += sum(fields)
        busy += sum(fields) - resting
    return CpuTime(busy, total)


def busy_share(before: CpuTime | None, after: CpuTime | None) -> float | None:
    """Share of the time between that was used, None where no tick passed or nobody can tell."""
    if before is None or after is None or after.total <= before.total:
        return None
    return (after.busy - before.busy) / (after.total - before.total)


class BusyWatch:
    """Share of a core's time that is used while the agent only waits.

    Args:
        core: that is watched.
        window_s: how long.
    """

    def __init__(self, core: int, window_s: float) -> None:
        self._core = core
        self._window_s = window_s

    def __call__(self) -> float | None:
        """Waits for the window, and tells."""
        before = self._read()
        if before is None:
            return None
        time.sleep(self._window_s)
        return busy_share(before, self._read())

    def _read(self) -> CpuTime | None:
        try:
            text = Path("/proc/stat").read_text(encoding="ascii")
        except OSError:
            return None  # not Linux, or not ours to read
        return cpu_time(text, [self._core])
