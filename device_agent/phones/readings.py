"""How a phone feels, from `dumpsys`."""

from __future__ import annotations

import re

from netspec.wire import Conditions

#: of `mType`: 0 CPU, 1 GPU, 2 battery, 3 skin
_CPU = "0"
#: sensors that say so are not connected, degrees Celsius
_NO_READING = 0.0
_STATUS = re.compile(r"^\s*Thermal Status: (?P<status>[0-9]+)\s*$", re.MULTILINE)
_OVERRIDDEN = re.compile(r"IsStatusOverride: *true")
_NO_HAL = re.compile(r"HAL Ready: *false")
_TEMPERATURE = re.compile(r"mValue=(?P<celsius>[0-9.]+), mType=(?P<kind>[0-9]+)")
_FROM_HAL = "Current temperatures from HAL:"
_WAKEFULNESS = re.compile(r"mWakefulness=(?P<word>\w+)")
_LEVEL = re.compile(r"^\s*level: (?P<level>[0-9]+)\s*$", re.MULTILINE)
_SCALE = re.compile(r"^\s*scale: (?P<scale>[0-9]+)\s*$", re.MULTILINE)
_BATTERY_TENTHS = re.compile(r"^\s*temperature: (?P<tenths>-?[0-9]+)\s*$", re.MULTILINE)
#: a box without a battery that counts in whole degrees says 26, which would be 2.6
_COLDEST_BATTERY = 10.0


def parse_thermal(text: str) -> Conditions:
    """From `dumpsys thermalservice` (Android 10 on); without that service, empty conditions.

    A status that somebody overrides, or that no HAL stands behind, says nothing of the phone.
    """
    status = _STATUS.search(text)
    _, from_hal, current = text.partition(_FROM_HAL)
    readings = [
        float(match["celsius"])
        for match in _TEMPERATURE.finditer(_section(current) if from_hal else text)
        if match["kind"] == _CPU
    ]
    known = status is not None and not _OVERRIDDEN.search(text) and not _NO_HAL.search(text)
    return Conditions(
        thermal_status=int(status["status"]) if status is not None and known else None,
        cpu_celsius=max((value for value in readings if value > _NO_READING), default=None),
    )


def parse_battery(text: str) -> Conditions:
    """From `dumpsys battery`."""
    level, scale = _LEVEL.search(text), _SCALE.search(text)
    tenths = _BATTERY_TENTHS.search(text)
    celsius = None if tenths is None else float(tenths["tenths"]) / 10
    full = float(scale["scale"]) if scale is not None else 100.0
    return Conditions(
        battery_percent=100 * float(level["level"]) / full if level is not None else None,
        battery_celsius=celsius if celsius is None or celsius >= _COLDEST_BATTERY else None,
    )


def parse_wakefulness(text: str) -> str | None:
    """From `dumpsys power`: `Awake`, `Dozing`, `Asleep`; None where it does not say."""
    match = _WAKEFULNESS.search(text)
    return None if match is None else match["word"]


def _section(text: str) -> str:
    """The indented lines at its beginning."""
    lines: list[str] = []
    for line in text.lstrip("\n").splitlines():
        if not line[:1].isspace():
            break
        lines.append(line)
    return "\n".join(lines)
