"""What is observed on this machine around a visit. Recorded, never keyed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from device_agent.cpu_zones import is_cpu_zone, zone_celsius
from netspec.wire import Conditions

_CPU_CHIPS = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal"})


class HostConditions:
    """Observes this machine; its sensors are found once.

    Args:
        core: the core measured on, None where visits are not pinned.
        root: of the file system that describes the machine.
    """

    def __init__(self, core: int | None, root: Path = Path("/")) -> None:
        self._core = core or 0
        self._sensors = [*_thermal_zones(root), *_chip_sensors(root)]
        self._frequency = root / f"sys/devices/system/cpu/cpu{self._core}/cpufreq/scaling_cur_freq"
        self._cpuinfo = root / "proc/cpuinfo"

    def __call__(self) -> Conditions:
        """The conditions at this moment."""
        return Conditions(
            cpu_celsius=self._celsius(), load_1m=os.getloadavg()[0], cpu_mhz=self._mhz()
        )

    def _celsius(self) -> float | None:
        readings = [zone_celsius(_line(sensor)) for sensor in self._sensors]
        return max((value for value in readings if value is not None), default=None)

    def _mhz(self) -> float | None:
        kilohertz = _number(self._frequency)
        return _cpuinfo_mhz(self._cpuinfo, self._core) if kilohertz is None else kilohertz / 1000


def _thermal_zones(root: Path) -> Iterator[Path]:
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        if is_cpu_zone(_line(zone / "type"), _line(zone / "trip_point_0_temp")):
            yield zone / "temp"


def _chip_sensors(root: Path) -> Iterator[Path]:
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _line(chip / "name") in _CPU_CHIPS:
            yield from sorted(chip.glob("temp*_input"))


def _cpuinfo_mhz(path: Path, core: int) -> float | None:
    """`cpu MHz` of one processor, None where the architecture does not list it."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    processor = None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "processor":
            processor = value.strip()
        elif name.strip() == "cpu MHz" and processor == str(core):
            return float(value)
    return None


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""  # sensors come and go, and some may not be read


def _number(path: Path) -> float | None:
    text = _line(path)
    return float(text) if text.lstrip("-").isdigit() else None
