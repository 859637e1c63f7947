"""A phone's counters of energy: power rails, and the battery's fuel gauge.

Formats: `energy_value` as the ODPM driver of Pixel kernels prints it (`CH3(T=358356)[RAIL], 761330`
in uWs), the service's as AOSP's `PowerStats.cpp` does (`[RAIL]:SUBSYSTEM  761.33 mWs`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import ValidationError

from device_agent.errors import PhoneUnusable
from device_agent.measuring.energy import Counter, EnergyChoice, RailCounters
from netspec.protocol import Delegate
from netspec.validation import first_problem
from netspec.wire import EnergyMeter, EnergyMethod

_ODPM = "/sys/bus/iio/devices/*/energy_value"
_SERVICE = "dumpsys android.hardware.power.stats.IPowerStats/default"
_BATTERY = "/sys/class/power_supply/battery"
_LINES: Mapping[EnergyMethod, re.Pattern[str]] = MappingProxyType(
    {
        "odpm": re.compile(
            r"^CH\d+(?:\(T=\d+\))?\[(?P<rail>[^\]]+)\], (?P<value>\d+)\s*$", re.MULTILINE
        ),
        "power_stats": re.compile(
            r"^\s*\[(?P<rail>[^\]]+)\]:.*?\s(?P<value>\d+\.\d+) mWs\s*$", re.MULTILINE
        ),
    }
)
#: mJ of a count
_UNITS_MJ: Mapping[EnergyMethod, float] = MappingProxyType({"odpm": 1e-3, "power_stats": 1.0})
_BATTERY_METER = EnergyMeter(method="fuel_gauge", rails=("battery",))
#: V * uAh as mJ, where the voltage is in uV
_MJ_PER_UAH_UV = 3600e-9
_NUMBER = re.compile(r"^\d+$")

_CLUSTERS = ("S2M_VDD_CPUCL2", "S3M_VDD_CPUCL1", "S4M_VDD_CPUCL0")
#: of SoCs, the rails of what runs a model on the CPU: the clusters, and on the first two the memory
#: interface and what is between. Source: PowerStats HAL of AOSP's device/google/gs101, gs201, zuma,
#: and `enabled_rails` of a Pixel 6
_KNOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("tensor", "gs101", "tensor g2", "gs201"), ("S1M_VDD_MIF", *_CLUSTERS, "S5M_VDD_INT")
        ),
        **dict.fromkeys(("tensor g3", "zuma"), _CLUSTERS),
    }
)
#: who run on the CPU
ON_CPU = frozenset({"xnnpack", "none"})


class CounterMissing(Exception):
    """The phone has no counter that is known; the text says what it has, and what to do."""


@dataclass(frozen=True)
class PhoneCounter:
    """How counters are read on a phone."""

    counter: Counter
    #: command whose answer is another after each step of a counter
    ask: str
    #: command whose answer belongs to a reading, too; empty: none
    beside: str
    #: the values of a reading; None: something else was said
    parse: Callable[[str], Sequence[float] | None]
    #: whether it counts what the whole phone draws from its battery
    of_battery: bool = False


@dataclass(frozen=True)
class _FuelGauge:
    """The charge that left the battery times its voltage, which sags under load."""

    meter: EnergyMeter

    def difference_mj(self, before: Sequence[float], after: Sequence[float]) -> float | None:
        """See `Counter`; values are uAh and uV."""
        charge = before[0] - after[0]
        return None if charge < 0 else charge * (before[1] + after[1]) / 2 * _MJ_PER_UAH_UV


def rails_of(say: Callable[[str], str], method: EnergyMethod) -> set[str]:
    """The rails whose energy a phone tells by `odpm` or `power_stats`; none where it does not."""
    said = say(f"cat {_ODPM} 2>/dev/null" if method == "odpm" else _SERVICE)
    return {match["rail"] for match in _LINES[method].finditer(said)}


def find_counter(
    say: Callable[[str], str], choice: EnergyChoice, soc: str, delegate: Delegate
) -> PhoneCounter:
    """The counter to read.

    Args:
        say: what a command prints on the phone.
        choice: what the user chose; not `off`.
        soc: as the phone says it.
        delegate: that runs models.

    Raises:
        CounterMissing: the user chose none, and none is known.
        PhoneUnusable: the phone has not what the user chose.
    """
    methods: tuple[EnergyMethod, ...]
    match choice.source:
        case "fuel_gauge":
            return _fuel_gauge(say)
        case "rapl" | "hwmon" | "off":
            raise PhoneUnusable(
                f"--energy {choice.source} counts nothing on phones; they have odpm, power_stats "
                "and fuel_gauge"
            )
        case "auto":
            methods = ("odpm", "power_stats")
        case "odpm" | "power_stats":
            methods = (choice.source,)
    seen: set[str] = set()
    for method in methods:
        rails = rails_of(say, method)
        wanted = choice.rails
        if not wanted and delegate in ON_CPU:
            wanted = _KNOWN.get(soc.lower(), ())
        if wanted and rails.issuperset(wanted):
            return _rails(method, wanted)
        seen |= rails
    chosen = choice.source != "auto" or bool(choice.rails)
    has = f"it has {', '.join(sorted(seen))}" if seen else "it tells of none"
    named = f"the rails {', '.join(choice.rails)}" if choice.rails else f"rails known of {soc!r}"
    text = f"the phone tells no energy of {named} ({' or '.join(methods)}): {has}"
    if seen:
        text += "; name those of what runs your models with --energy-rail"
    raise (PhoneUnusable if chosen else CounterMissing)(text)


def meter_of(method: EnergyMethod, rails: Sequence[str]) -> EnergyMeter:
    """The meter of these rails.

    Raises:
        PhoneUnusable: they cannot be one.
    """
    try:
        return EnergyMeter(method=method, rails=tuple(sorted(set(rails))))
    except ValidationError as error:
        raise PhoneUnusable(f"--energy-rail: {first_problem(error)}") from error


def odpm_counter(rails: Sequence[str]) -> PhoneCounter:
    """Rails of a power monitor of IIO, wherever Linux has such a driver.

    Raises:
        PhoneUnusable: they cannot be one meter.
    """
    return _rails("odpm", rails)


def _rails(method: EnergyMethod, rails: Sequence[str]) -> PhoneCounter:
    meter = meter_of(method, rails)
    pattern = " ".join(f"-e {shlex.quote(f'[{rail}]')}" for rail in meter.rails)
    # Without the moment of the look, which is another each time.
    ask = f"grep -h -F {pattern} {_ODPM} 2>/dev/null | sed 's/(T=[0-9]*)//'"
    if method == "power_stats":
        ask = f"{_SERVICE} | grep -F {pattern}"

    def parse(said: str) -> Sequence[float] | None:
        found = {match["rail"]: float(match["value"]) for match in _LINES[method].finditer(said)}
        if not found.keys() >= set(meter.rails):
            return None
        return [found[rail] for rail in meter.rails]

    return PhoneCounter(RailCounters(meter, _UNITS_MJ[method]), ask, "", parse)


def _fuel_gauge(say: Callable[[str], str]) -> PhoneCounter:
    ask, beside = f"cat {_BATTERY}/charge_counter", f"cat {_BATTERY}/voltage_now"

    def parse(said: str) -> Sequence[float] | None:
        lines = said.split()
        return [*map(float, lines)] if len(lines) == 2 and all(map(_NUMBER.match, lines)) else None  # noqa: PLR2004

    if parse(say(f"{ask}; {beside}")) is None:
        raise PhoneUnusable(
            f"the phone does not let {_BATTERY}/charge_counter and voltage_now be read, which the "
            "fuel gauge's energy is made of"
        )
    return PhoneCounter(_FuelGauge(_BATTERY_METER), ask, beside, parse, of_battery=True)
