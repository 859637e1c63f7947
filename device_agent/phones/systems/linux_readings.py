"""How a board feels: what cools its processor now, its power supply, its free memory.

Sources: Linux's `Documentation/driver-api/thermal/sysfs-api.rst` (a cooling device acts where its
`cur_state` is above 0), and Raspberry Pi's `vcgencmd get_throttled`, a file of its kernel's, too.
"""

from __future__ import annotations

import re

from device_agent.transports.read_files import parse_values, read_pattern_command
from netspec.wire import Conditions

_COOLING = "/sys/class/thermal/cooling_device*"
_FIRMWARE = "/sys/devices/platform/soc*/soc*:firmware/get_throttled"
ASK_HEAT = read_pattern_command(f"{_COOLING}/type {_COOLING}/cur_state {_FIRMWARE}")
ASK_HINDRANCE = (
    f"{read_pattern_command(_FIRMWARE)}; sed -n 's/^MemAvailable: */MemAvailable /p' /proc/meminfo"
)
#: what lowers the processor's clock; fans cool without
_OF_CPU = re.compile(r"^(?:thermal-)?cpufreq|^cpu|^processor$", re.IGNORECASE)
#: bits that hold now: under-voltage; with it clock capped, throttled, soft limit of temperature
_UNDER_VOLTAGE, _NOW = 0b1, 0b1111
#: Android's "light", the least that is no longer none: how much it is, Linux does not say
_THROTTLED = 1
#: for a runner, a model and its tensors, without swapping
LEAST_MEMORY_MIB = 128
_KIB_PER_MIB = 1024


def read_heat(answer: str) -> Conditions:
    """The thermal status, as Android counts it; empty where nothing says that it lowers clocks."""
    values = parse_values(answer)
    states = [
        _number(values.get(f"{path.removesuffix('/type')}/cur_state", ""))
        for path, kind in values.items()
        if path.endswith("/type") and _OF_CPU.search(kind)
    ]
    signs = [state for state in (*states, _firmware(values)) if state is not None]
    if not signs:
        return Conditions()
    return Conditions(thermal_status=_THROTTLED if any(sign > 0 for sign in signs) else 0)


def read_hindrance(answer: str) -> str:
    """Why nothing is to be measured now; empty where nothing speaks against it."""
    values = parse_values(answer)
    if (_firmware(values) or 0) & _UNDER_VOLTAGE:
        return "its voltage is too low, which slows it down; give it a better power supply"
    mib = free_memory_mib(answer)
    if mib is not None and mib < LEAST_MEMORY_MIB:
        return (
            f"{mib} MiB of its memory are free, and visits would swap; end what fills it "
            f"({LEAST_MEMORY_MIB} MiB are wanted)"
        )
    return ""


def free_memory_mib(answer: str) -> int | None:
    """Memory that programs can have without swapping, MiB; None where the kernel does not say."""
    kib = _number(parse_values(answer).get("MemAvailable", "").removesuffix(" kB"))
    return None if kib is None else kib // _KIB_PER_MIB


def _firmware(values: dict[str, str]) -> int | None:
    """The bits that hold now; None where there is no such file."""
    for path, text in values.items():
        if path.endswith("/get_throttled") and re.fullmatch(r"(?:0x)?[0-9a-fA-F]+", text):
            return int(text, 16) & _NOW
    return None


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else None
