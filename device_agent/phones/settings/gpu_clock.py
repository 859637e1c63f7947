"""The clock of a GPU: where the device tells it, locked for measuring, and given back.

Sources: Linux's `Documentation/ABI/testing/sysfs-class-devfreq` (clocks in Hz, times in ms),
Qualcomm's KGSL driver, which has such a folder beside `gpuclk` (Hz), and the driver of the Mali
GPUs of Pixel phones, whose folder has cpufreq's names (kHz).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from device_agent.phones.settings.clock_times import ClockTimes, passed
from device_agent.phones.settings.journal import Change, JournalledSettings
from device_agent.transports.base import Transport
from device_agent.transports.read_files import (
    parse_values,
    read_pattern_command,
    read_tables_command,
)

_JOURNAL = "gpu-journal"
_DEVFREQ = "/sys/class/devfreq"
#: Qualcomm's, those of most (Mali, Jetson since Orin), of older Jetsons, and of Pixels; memory
#: buses of GPUs (`gpubw`, `kgsl-busmon`) end otherwise
_FOLDERS = (
    "/sys/class/kgsl/kgsl-3d0/devfreq",
    *(f"{_DEVFREQ}/*{name}" for name in ("kgsl-3d0", "gpu", "mali")),
    *(f"{_DEVFREQ}/*.{name}" for name in ("ga10b", "gv11b", "gp10b", "gm20b", "gk20a")),
    "/sys/devices/platform/*.mali",
)
_NOW = "cur_freq"
_LOWEST, _HIGHEST = ("min_freq", "scaling_min_freq"), ("max_freq", "scaling_max_freq")
#: where nothing but the clock is told
_CLOCK_ALONE = "/sys/class/kgsl/kgsl-3d0/gpuclk"
_ASK = read_pattern_command(
    " ".join(
        [*map("/".join, product(_FOLDERS, (_NOW, *_LOWEST, *_HIGHEST))), _CLOCK_ALONE],
    )
)
#: with how exactly they are kept, in their own units
_TABLES = {"trans_stat": 10, "time_in_state": 1}
#: `848000 12`, and of `trans_stat` `* 848000000:  0  3  12`, in which the time comes last
_ROW = re.compile(r"\*?\s*(?P<clock>[0-9]+):?\s(?:.*\s)?(?P<time>[0-9]+)\s*")
#: no GPU has so many kHz, nor so few Hz
_HZ_FROM = 10_000_000
_HZ_PER_KHZ = 1000


@dataclass(frozen=True)
class GpuFiles:
    """Files that tell a GPU's clock; empty where there is none."""

    now: str
    lowest: str = ""
    highest: str = ""
    table: str = ""

    def clock_khz(self, values: Mapping[str, str], path: str) -> int | None:
        """What one of its files says, among values by path."""
        text = values.get(path, "")
        return _khz(int(text)) if text.isdecimal() else None

    def times(self, before: Mapping[str, str], after: Mapping[str, str]) -> ClockTimes | None:
        """What its table says of the time between two looks, of which each has values by path."""
        if not self.table:
            return None
        was, is_now = (_rows(values, self.table) for values in (before, after))
        exact = _TABLES[self.table.rpartition("/")[2]]
        return passed(was, is_now, self.clock_khz(after, self.now), exact)


@dataclass(frozen=True)
class GrantedGpu:
    """What a device granted of its GPU's clock."""

    files: GpuFiles
    #: highest clock that it may take; None where nobody limits it, or it is not told
    limit_khz: int | None = None
    is_locked: bool = False

    @property
    def state(self) -> str:
        """For the conditions of visits."""
        if self.is_locked and self.limit_khz is not None:
            return f"gpu clock locked {self.limit_khz / 1000:g} MHz"
        up_to = "" if self.limit_khz is None else f" up to {self.limit_khz / 1000:g} MHz"
        return f"gpu clock free{up_to}"

    @property
    def condition_files(self) -> tuple[str, ...]:
        """Files of one line that are read around each visit."""
        files = self.files
        limits = (files.highest, files.lowest if self.is_locked else "")
        return tuple(filter(None, (files.now, *(limits if self.limit_khz is not None else ()))))

    def problem(self, before: Mapping[str, str], after: Mapping[str, str]) -> str:
        """Why the clock was not what the target says, empty where nothing shows that."""
        return self._other_limits(before) or self._other_limits(after) or self._other(before, after)

    def mhz(self, values: Mapping[str, str]) -> float | None:
        """The clock at a look."""
        khz = self.files.clock_khz(values, self.files.now)
        return None if khz is None else khz / 1000

    def _other_limits(self, values: Mapping[str, str]) -> str:
        if self.limit_khz is None:
            return ""
        for which, path in (("minimum", self.files.lowest), ("maximum", self.files.highest)):
            seen = self.files.clock_khz(values, path) if path in self.condition_files else None
            if seen is not None and seen != self.limit_khz:
                return (
                    f"the {which} clock of the GPU was {seen / 1000:g} MHz around this visit, and "
                    f"{self.limit_khz / 1000:g} MHz under the target's clock policy"
                )
        return ""

    def _other(self, before: Mapping[str, str], after: Mapping[str, str]) -> str:
        """Under the same limits a GPU may have had another clock in between."""
        times = self.files.times(before, after) if self.is_locked else None
        if times is None or self.limit_khz is None:
            return ""
        other = times.beside(self.limit_khz)
        return (
            ""
            if other is None
            else f"the GPU had another clock than its locked {self.limit_khz / 1000:g} MHz for "
            f"{other[1]:.0%} of this visit, mostly {other[0] / 1000:g} MHz"
        )


class GpuClock(JournalledSettings):
    """Locks a GPU's clock, and gives it back.

    Args:
        transport: to the device.
        files: of its GPU's clock; None: it tells of none, or its GPU runs no models.
    """

    def __init__(self, transport: Transport, files: GpuFiles | None) -> None:
        super().__init__(transport, _JOURNAL)
        self._files = files

    def told(self) -> GrantedGpu | None:
        """The GPU's clock as it is, which nobody limits."""
        return None if self._files is None else GrantedGpu(self._files)

    def steady(
        self, as_root: Callable[[], Callable[[str], str]], *, is_limited: bool
    ) -> GrantedGpu | None:
        """The GPU's clock, locked at the highest that it may take, where the device grants that.

        It is granted when the device's files show it, not when a command says so.

        Args:
            as_root: says how a command is given that only root may.
            is_limited: whether what is not locked is limited at least.
        """
        limits = self._limits()
        if self._files is None or limits is None:
            return self.told()
        low, high = limits
        if low != high:
            root, path = as_root(), self._files.lowest
            change = Change(root(f"echo {high} > {path}"), root(f"echo {low} > {path}"))
            if self.apply([change]):
                low, high = self._limits() or limits
                if low != high:
                    self.give_back()
        if low == high or is_limited:
            return GrantedGpu(self._files, _khz(high), is_locked=low == high)
        return self.told()

    def _limits(self) -> tuple[int, int] | None:
        """Lowest and highest clock that it may take, in the device's unit; None: not told."""
        if self._files is None or not (self._files.lowest and self._files.highest):
            return None
        said = (self.say(f"cat {self._files.lowest} {self._files.highest}") or "").split()
        values = [int(value) for value in said if value.isdecimal()]
        return (values[0], values[1]) if len(values) == 2 else None  # noqa: PLR2004 (as asked)


def find_gpu(say: Callable[[str], str]) -> GpuFiles | None:
    """The files of the first GPU whose clock can be read; None where none can.

    Args:
        say: what a command prints on the device.
    """
    values = parse_values(say(_ASK))
    clocks = [path for path, text in values.items() if text.isdecimal() and int(text) > 0]
    now = next((path for path in clocks if path.endswith((f"/{_NOW}", _CLOCK_ALONE))), None)
    if now is None:
        return None
    folder = now.rpartition("/")[0]
    lowest, highest = (
        _first(f"{folder}/{name}" for name in names if f"{folder}/{name}" in clocks)
        for names in (_LOWEST, _HIGHEST)
    )
    tables = [f"{folder}/{name}" for name in _TABLES]
    told = parse_values(say(read_tables_command(tables)))
    return GpuFiles(now, lowest, highest, _first(table for table in tables if _rows(told, table)))


def _first(paths: Iterable[str]) -> str:
    return next(iter(paths), "")


def _rows(values: Mapping[str, str], table: str) -> dict[int, int]:
    """How long each clock was had, by kHz, among what `read_tables_command` printed."""
    prefix = f"{table}/"
    lines = (
        f"{path.removeprefix(prefix)} {text}"
        for path, text in values.items()
        if path.startswith(prefix)
    )
    rows = filter(None, map(_ROW.fullmatch, lines))
    return {_khz(int(row["clock"])): int(row["time"]) for row in rows}


def _khz(value: int) -> int:
    """From Hz or kHz."""
    return value // _HZ_PER_KHZ if value >= _HZ_FROM else value
