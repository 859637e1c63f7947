"""How a phone feels, from `dumpsys` and `/sys/class/thermal`."""

from __future__ import annotations

import re

from netspec.wire import Conditions

#: of `mType`: 0 CPU, 1 GPU, 2 battery, 3 skin
_CPU = "0"
#: sensors that say so are not connected, degrees Celsius
_NO_READING = 0.0
_STATUS = re.compile(r"^\s*Thermal Status: (?P<status>[0-9]+)\s*$", re.MULTILINE)
_OVERRIDDEN = re.compile(r"IsStatusOverride: *true")
_TEMPERATURE = re.compile(r"mValue=(?P<celsius>[0-9.]+), mType=(?P<kind>[0-9]+)")
_FROM_HAL = "Current temperatures from HAL:"
_LEVEL = re.compile(r"^\s*level: (?P<level>[0-9]+)\s*$", re.MULTILINE)
_SCALE = re.compile(r"^\s*scale: (?P<scale>[0-9]+)\s*$", re.MULTILINE)
_BATTERY_TENTHS = re.compile(r"^\s*temperature: (?P<tenths>-?[0-9]+)\s*$", re.MULTILINE)
_CPU_ZONE = re.compile(r"cpu|^soc", re.IGNORECASE)
#: zones count in thousandths of a degree, old ones in tenths or whole degrees
_THOUSANDTHS_FROM = 1000.0
_TENTHS_FROM = 150.0


def parse_thermal(text: str) -> Conditions:
    """From `dumpsys thermalservice` (Android 10 on); without that service, empty conditions.

    A status that somebody overrides says nothing of the phone.
    """
    status = _STATUS.search(text)
    _, from_hal, current = text.partition(_FROM_HAL)
    readings = [
        float(match["celsius"])
        for match in _TEMPERATURE.finditer(_section(current) if from_hal else text)
        if match["kind"] == _CPU
    ]
    known = status is not None and not _OVERRIDDEN.search(text)
    return Conditions(
        thermal_status=int(status["status"]) if status is not None and known else None,
        cpu_celsius=max((value for value in readings if value > _NO_READING), default=None),
    )


def parse_battery(text: str) -> Conditions:
    """From `dumpsys battery`."""
    level, scale = _LEVEL.search(text), _SCALE.search(text)
    tenths = _BATTERY_TENTHS.search(text)
    full = float(scale["scale"]) if scale is not None else 100.0
    return Conditions(
        battery_percent=100 * float(level["level"]) / full if level is not None else None,
        battery_celsius=float(tenths["tenths"]) / 10 if tenths is not None else None,
    )


def is_cpu_zone(kind: str) -> bool:
    """Whether a thermal zone of this type is the processor's."""
    return bool(_CPU_ZONE.search(kind))


def zone_celsius(text: str) -> float | None:
    """A thermal zone's `temp`, None where there is no sensor behind it."""
    try:
        raw = float(text)
    except ValueError:
        return None
    if raw <= _NO_READING:
        return None
    if raw >= _THOUSANDTHS_FROM:
        return raw / 1000
    return raw / 10 if raw > _TENTHS_FROM else raw


def _section(text: str) -> str:
    """The indented lines at its beginning."""
    lines: list[str] = []
    for line in text.lstrip("\n").splitlines():
        if not line[:1].isspace():
            break
        lines.append(line)
    return "\n".join(lines)
